"""One issue for all nights: opened when a night is worse, edited while it lasts, closed after two clean nights.

    python -m harness.nightly.issue NIGHT [--link URL] [--dry-run]

NIGHT is a night's folder. The issue is the open one with the label `perf-regression`; `gh` finds and writes it, in the
repository and with the rights of $GH_REPO and $GH_TOKEN. Needs the standard library alone, so that a job that may write
issues installs nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.nightly.night import FAILED, GATE, REGRESSION, Night, NightError, read_gate, read_night
from harness.nightly.summary import again, blocks, sides
from harness.nightly.tables import cell, code, fit

LABEL = "perf-regression"
CLEAN_NIGHTS = 2
"""In a row, after which the issue is closed: one may be luck."""
LIMIT = 50_000
"""Bytes of the tables; GitHub takes 65,536 characters of a body."""
_MARK = re.compile(r"\A<!-- nightly (?P<data>\{.*?\}) -->\n(?P<status>.*?)\n<!-- status -->\n", re.DOTALL)
"""What a body begins with: what the next night must know, and the line that each night writes anew."""

Action = Literal["open", "edit", "close", "nothing"]
Gh = Callable[[Sequence[str], str], str]
"""Runs `gh` with these words and that on its stdin, and returns its stdout."""


@dataclass(frozen=True, slots=True)
class Issue:
    """The open issue."""

    number: int
    body: str


@dataclass(frozen=True, slots=True)
class Course:
    """What the issue remembers from night to night."""

    since: str
    """When the first night that was worse began, and with which harness."""
    nights: int = 1
    """How many nights were worse."""
    clean: int = 0
    """How many nights in a row were clean since."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be done with the issue."""

    action: Action
    why: str
    title: str = ""
    body: str = ""


def decide(night: Night, gate: dict[str, Any] | None, issue: Issue | None, link: str | None) -> Deed:
    """Return what `night` asks of the open issue, if there is one.

    A night that compared nothing (no baseline, no device, an error) says nothing about the code, and changes nothing.
    """
    if not night.compared or gate is None:
        return Deed("nothing", f"the night compared nothing: {night.why}")
    if night.code in (REGRESSION, FAILED):
        return _worse(night, gate, issue, link)
    if issue is None:
        return Deed("nothing", "the night is clean, and no issue is open")
    return _clean(night, issue, link)


def _worse(night: Night, gate: dict[str, Any], issue: Issue | None, link: str | None) -> Deed:
    assert night.candidate is not None
    known = _course(issue)
    first = Course(since=f"{night.candidate.started[:10]}, harness {night.candidate.commit}")
    course = replace(known, nights=known.nights + 1, clean=0) if known else first
    times = "once" if course.nights == 1 else f"in {course.nights} nights"
    status = f"Seen {times}, first on {course.since}."
    body = _body(course, status, "\n\n".join(_content(night, gate, link)))
    title = cell(f"{Path(night.suite).stem} is worse on {night.candidate.device}")
    return Deed("open" if issue is None else "edit", night.why, title.replace("\\", ""), body)


def _clean(night: Night, issue: Issue, link: str | None) -> Deed:
    assert night.candidate is not None
    known = _course(issue) or Course(since="")
    course = replace(known, clean=known.clean + 1)
    seen = f"[{night.candidate.started[:10]}]({link})" if link else night.candidate.started[:10]
    status = f"Clean on {seen} with harness {night.candidate.commit}, {course.clean} of {CLEAN_NIGHTS} nights in a row."
    old = _MARK.sub("", issue.body, count=1)
    return Deed("close" if course.clean >= CLEAN_NIGHTS else "edit", status, body=_body(course, status, old))


def _content(night: Night, gate: dict[str, Any], link: str | None) -> list[str]:
    parts = [f"**{cell(night.why)}**", sides(night)]
    parts += [f"[The report and all files of the night]({link})"] if link else []
    parts += [f"Measure those again:\n\n{code(again(night, gate))}", fit(list(blocks(night, gate)), LIMIT, GATE)]
    return parts


def _body(course: Course, status: str, content: str) -> str:
    return f"<!-- nightly {json.dumps(asdict(course))} -->\n{status}\n<!-- status -->\n{content}"


def _course(issue: Issue | None) -> Course | None:
    """Return what the issue remembers; None where there is no issue, or somebody has rewritten it."""
    found = _MARK.match(issue.body) if issue is not None else None
    try:
        return Course(**json.loads(found["data"])) if found else None
    except (ValueError, TypeError):
        return None


def find(gh: Gh) -> Issue | None:
    """Return the open issue with the label, the oldest where there are several."""
    words = ("issue", "list", "--label", LABEL, "--state", "open", "--json", "number,body", "--limit", "100")
    found = json.loads(gh(words, ""))
    issues = [Issue(one["number"], one["body"].replace("\r\n", "\n")) for one in found]
    return min(issues, key=lambda issue: issue.number, default=None)


def carry_out(deed: Deed, issue: Issue | None, gh: Gh) -> None:
    """Do it."""
    if deed.action == "open":
        gh(("label", "create", LABEL, "--description", "A night was worse than its baseline", "--force"), "")
        gh(("issue", "create", "--title", deed.title, "--label", LABEL, "--body-file", "-"), deed.body)
    elif deed.action != "nothing":
        assert issue is not None
        title = ("--title", deed.title) if deed.title else ()
        gh(("issue", "edit", str(issue.number), *title, "--body-file", "-"), deed.body)
        if deed.action == "close":
            gh(("issue", "close", str(issue.number), "--comment", deed.why), "")


def main(arguments: Sequence[str] | None = None, gh: Gh | None = None) -> int:
    """Read the night, ask for the issue, and do what is to be done; return the exit code."""
    options = _parse(arguments)
    ask = gh or _gh
    try:
        night, gate = read_night(options.night), read_gate(options.night)
        issue = find(ask)
        deed = decide(night, gate, issue, options.link)
        print(f"issue: {deed.action}: {deed.why}", file=sys.stderr)
        if options.dry_run:
            print(deed.body)
        else:
            carry_out(deed, issue, ask)
    except NightError as error:
        print(f"issue: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"issue: gh ended with {error.returncode}: {error.stderr.strip()}", file=sys.stderr)
        return FAILED
    except FileNotFoundError:
        print("issue: gh is not here; it finds and writes the issue (https://cli.github.com)", file=sys.stderr)
        return FAILED
    return 0


def _gh(words: Sequence[str], given: str) -> str:
    done = subprocess.run(["gh", *words], input=given, capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.nightly.issue", description="One issue for all nights.")
    parser.add_argument("night", type=Path, metavar="NIGHT", help="a night's folder")
    parser.add_argument("--link", metavar="URL", help="where the report and all files are")
    parser.add_argument("--dry-run", action="store_true", help="print the body and write nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
