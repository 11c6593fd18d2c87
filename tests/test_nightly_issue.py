"""One issue for all nights: opened, edited, closed after two clean ones, and let alone by nights that say nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.nightly.issue import LABEL, Deed, Issue, decide, find, main
from harness.nightly.night import Night, write_night
from tests.nights import gate, night, row, slower
from tests.test_cli import ROOT

LINK = "https://ci.example/runs/7"
WORSE = night(code=1, why="Of 9 numbers, 1 is worse.", vanished=("gone",), appeared=("new",))
ALARM = gate([slower("top-2-e8")])


def after(found: Deed) -> Issue:
    """Return the issue as GitHub has it after that deed: with its own line ends."""
    return find_in([{"number": 12, "body": found.body.replace("\n", "\r\n")}])


def find_in(issues: list[dict[str, object]]) -> Issue:
    found = find(lambda words, given: json.dumps(issues))
    assert found is not None
    return found


def test_a_worse_night_opens_an_issue_with_all_that_is_to_be_known() -> None:
    found = decide(WORSE, ALARM, None, LINK)
    assert found.action == "open"
    assert found.title == "quick is worse on Test CPU (invented)"
    for words in (
        "Seen once, first on 2026-11-21, harness 9f3c1ab41d07.",
        "| baseline quick | Test CPU (invented) | 9f3c1ab41d07 |",
        "| tonight | Test CPU (invented) | 9f3c1ab41d07 |",
        f"[The report and all files of the night]({LINK})",
        "harness run quick --device cpu --select",
        "| top-2-e8 | latency\\_ms | ✗ slower |",
        "## Only the baseline has: 1",
        "## Only tonight's run has: 1",
    ):
        assert words in found.body


def test_it_is_edited_while_it_lasts_and_closed_after_two_clean_nights() -> None:
    first = decide(WORSE, ALARM, None, LINK)
    second = decide(WORSE, ALARM, after(first), LINK)
    assert (second.action, "Seen in 2 nights, first on 2026-11-21" in second.body) == ("edit", True)
    clean = decide(night(), gate(), after(second), LINK)
    assert (clean.action, clean.title) == ("edit", "")
    assert f"Clean on [2026-11-21]({LINK}) with harness 9f3c1ab41d07, 1 of 2 nights in a row." in clean.body
    assert "| top-2-e8 |" in clean.body  # what was worse is still told
    assert "Seen in 2 nights" not in clean.body
    last = decide(night(), gate(), after(clean), LINK)
    assert (last.action, "2 of 2 nights" in last.why) == ("close", True)


def test_a_relapse_begins_to_count_anew() -> None:
    clean = decide(night(), gate(), after(decide(WORSE, ALARM, None, None)), None)
    relapse = decide(WORSE, ALARM, after(clean), None)
    assert "Seen in 2 nights" in relapse.body
    assert decide(night(), gate(), after(relapse), None).action == "edit"


@pytest.mark.parametrize(
    "says_nothing",
    [night(code=code) for code in (2, 4, 5, 130)] + [night(base=None, baseline=None), night(code=3, base=None)],
    ids=["usage", "not comparable", "no device", "interrupted", "no baseline", "no baseline, failed"],
)
def test_a_night_that_compared_nothing_changes_nothing(says_nothing: Night) -> None:
    open_one = after(decide(WORSE, ALARM, None, None))
    assert decide(says_nothing, ALARM, open_one, None).action == "nothing"
    assert decide(night(), None, open_one, None).action == "nothing"


def test_cases_that_fail_open_one_too_and_a_clean_night_opens_none() -> None:
    assert decide(night(code=3), gate([row("a", None, "failed", why="oom")]), None, None).action == "open"
    assert decide(night(), gate(), None, None).action == "nothing"


@pytest.mark.parametrize("body", ["", "somebody's words", "<!-- nightly {nonsense} -->\nx\n<!-- status -->\n"])
def test_a_body_that_somebody_rewrote_is_begun_anew(body: str) -> None:
    found = decide(WORSE, ALARM, Issue(3, body), None)
    assert (found.action, "Seen once" in found.body) == ("edit", True)
    clean = decide(night(), gate(), Issue(3, body), None)
    assert clean.action == "edit"
    assert body.rpartition("-->\n")[2] in clean.body


def test_however_many_cases_github_takes_the_body() -> None:
    found = decide(WORSE, gate([slower(f"case-{index}-✓") for index in range(5000)]), None, LINK)
    assert len(found.body.encode()) < 65_536
    assert "more are left out here; gate.json has all." in found.body


def test_the_oldest_of_several_is_the_one() -> None:
    assert find_in([{"number": 9, "body": ""}, {"number": 4, "body": ""}]).number == 4
    assert find(lambda words, given: "[]") is None


# the program


class Gh:
    """Stands in for `gh`: keeps what it was asked, and lists the issues that it is given."""

    def __init__(self, *issues: dict[str, object]) -> None:
        self.issues, self.asked = issues, list[tuple[tuple[str, ...], str]]()

    def __call__(self, words: Sequence[str], given: str) -> str:
        self.asked.append((tuple(words), given))
        return json.dumps(self.issues) if words[:2] == ("issue", "list") else ""

    @property
    def verbs(self) -> list[tuple[str, ...]]:
        return [words[:2] for words, _ in self.asked]


def spent(folder: Path, what: Night = WORSE) -> str:
    """Write a night and its gate, and return the folder's name."""
    write_night(folder, what)
    (folder / "gate.json").write_text(json.dumps(ALARM if what.code else gate()))
    return str(folder)


def test_the_program_opens_with_a_label(tmp_path: Path) -> None:
    gh = Gh()
    assert main([spent(tmp_path), "--link", LINK], gh) == 0
    assert gh.verbs == [("issue", "list"), ("label", "create"), ("issue", "create")]
    words, body = gh.asked[-1]
    assert (LABEL in words, LINK in body) == (True, True)


def test_the_program_edits_and_closes(tmp_path: Path) -> None:
    body = decide(night(), gate(), after(decide(WORSE, ALARM, None, None)), None).body
    gh = Gh({"number": 12, "body": body})
    assert main([spent(tmp_path, night())], gh) == 0
    assert gh.verbs == [("issue", "list"), ("issue", "edit"), ("issue", "close")]
    assert {words[2] for words, _ in gh.asked[1:]} == {"12"}


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gh = Gh()
    assert main([spent(tmp_path), "--dry-run"], gh) == 0
    assert gh.verbs == [("issue", "list")]
    assert "top-2-e8" in capsys.readouterr().out


def test_what_goes_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refuses(words: Sequence[str], given: str) -> str:
        raise subprocess.CalledProcessError(4, "gh", stderr="not logged in\n")

    def absent(words: Sequence[str], given: str) -> str:
        raise FileNotFoundError("gh")

    assert main([str(tmp_path)], Gh()) == 2
    assert main([spent(tmp_path)], refuses) == main([str(tmp_path)], absent) == 3
    told = capsys.readouterr().err
    assert "is no night's folder" in told
    assert "gh ended with 4: not logged in" in told
    assert "gh is not here" in told


def test_it_needs_the_standard_library_alone_and_calls_gh(tmp_path: Path) -> None:
    """As the job does: a bare Python in the checkout, and a `gh` on the path."""
    (tmp_path / "night").mkdir()
    program = tmp_path / "gh"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$2" = list ] && echo \'[]\' || cat > {tmp_path}/body\n'
    )
    program.chmod(0o755)
    command = [sys.executable, "-S", "-m", "harness.nightly.issue", spent(tmp_path / "night"), "--link", LINK]
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in (tmp_path / "asked").read_text().splitlines()] == [
        ["issue", "list"], ["label", "create"], ["issue", "create"],
    ]  # fmt: skip
    assert "top-2-e8" in (tmp_path / "body").read_text()
