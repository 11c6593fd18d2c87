"""Suites: found by name or path, read, and checked as a whole; every fault of a file is reported at once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from harness.declare.checks import check
from harness.declare.draw import draw, points
from harness.declare.expand import MAX_CASES
from harness.declare.faults import Fault, SuiteError, listed, nearest
from harness.declare.findings import Findings
from harness.declare.format import Claim, MatchTo, Measure, ProbeName, Suite, Text, Variant
from harness.declare.lines import line_numbers
from harness.declare.shipped import shipped_suites
from harness.declare.structure import build

__all__ = [
    "Claim", "Fault", "MatchTo", "Measure", "ProbeName", "Suite", "SuiteError", "Variant", "load_suite", "parse_suite",
]  # fmt: skip

LARGEST_FILE = 1 << 20
"""Bytes of a suite, at the most: what is larger is no suite."""
DEEPEST = 32
"""Tables and lists in each other, at the most: the format needs seven, and what walks over them recurses."""


def load_suite(name_or_path: str | Path) -> Suite:
    """Return the shipped suite of that name, or the one in that file; raise SuiteError with every fault in it."""
    path = _find(str(name_or_path))
    shown = _from_here(path)
    return parse_suite(read_text(path, shown), shown)


def parse_suite(source: str, file: str = "suite.toml", *, borrows: bool = True) -> Suite:
    """Return the suite that the TOML text `source` says; raise SuiteError with every fault in it.

    `file` is what faults call the text, and its stem is the suite's name. One that `borrows` may take over another's
    claims.
    """
    text = Text(Path(file).stem, file, source)
    data = read_toml(text)
    text.lines = line_numbers(source)
    findings = Findings(text)
    suite = build(data, findings)
    if suite is not None:
        check(suite, _names(data), findings)
        if suite.claims_from is not None:
            own = len(suite.claims)
            suite = suite.model_copy(update={"claims": _claims(suite, findings, borrows=borrows)})
            suite._borrowed = len(suite.claims) - own
        if points(suite, findings) <= MAX_CASES:  # else the command line may narrow it, and `plan` draws it
            suite._drawn = draw(suite, findings)
    if findings.faults or suite is None:
        raise SuiteError(findings.faults)
    return suite


def _claims(suite: Suite, findings: Findings, *, borrows: bool) -> list[Claim]:
    """Return the suite's claims behind those of the suite that it takes them over from; note where it cannot."""
    name, at = str(suite.claims_from), ("claims_from",)
    shipped = shipped_suites()
    path = shipped.get(name) or suite.path.parent / name
    if not borrows:
        findings.add(at, "it takes claims over itself, and another suite takes them from here", "claims of its own")
    elif not _exists(path):
        expected = f"{listed(shipped)}, or the path of a suite's file"
        findings.add(at, f"there is no suite {name!r}", expected, nearest(name, shipped))
    else:
        shown = _from_here(path)
        try:
            other = parse_suite(read_text(path, shown), shown, borrows=False)
        except SuiteError as error:
            findings.faults += error.faults
        else:
            own = {claim.id for claim in suite.claims}
            return [*(claim for claim in other.claims if claim.id not in own), *suite.claims]
    return suite.claims


def _find(name: str) -> Path:
    """Return the file that `name` means: a path where it looks like one or is one, else a shipped suite."""
    shipped = shipped_suites()
    if name in shipped:
        return shipped[name]
    path = Path(name)
    if name.strip() and (path.suffix == ".toml" or path.parent != Path() or _exists(path)):
        return path
    expected = f"{listed(shipped)}, or the path of a suite's file" if shipped else "the path of a suite's file"
    if not name.strip():
        raise SuiteError([Fault("", None, "", "the suite's name is empty", expected)])
    raise SuiteError([Fault(name, None, "", "there is no suite of this name", expected, nearest(name, shipped))])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file, or a working folder that may not be looked into
        return False


def _from_here(path: Path) -> str:
    """Return `path` as messages name it: from the working folder, where it lies in there."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):  # the working folder is gone, or the file lies elsewhere
        return str(path)


def read_text(path: Path, shown: str, wanted: str = "a suite's TOML file") -> str:
    """Return the text of a file that messages call `shown` and of which they expect that it is `wanted`.

    Raises:
        SuiteError: It is no file, too large, cannot be read, or is not UTF-8.
    """

    def refuse(message: str, expected: str, similar: str | None = None) -> SuiteError:
        return SuiteError([Fault(shown, None, "", message, expected, similar)])

    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise refuse("this is a device or a pipe", wanted)  # which may never end, or never begin
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        beside = {other.stem: str(other) for other in path.parent.glob("*.toml")}
        similar = nearest(path.stem, beside)
        raise refuse("there is no such file", wanted, similar and beside[similar]) from None
    except IsADirectoryError:
        raise refuse("this is a folder", f"{wanted}, such as one in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise refuse(f"cannot be read: {reason}", wanted) from None
    if len(data) > LARGEST_FILE:
        raise refuse(f"this is too large for {wanted}", f"at most {LARGEST_FILE >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SuiteError([Fault(shown, line, "", f"byte {error.start} is not UTF-8", "text in UTF-8")]) from None


def read_toml(text: Text) -> dict[str, Any]:
    """Return the data that the text says; raise SuiteError where it is no TOML, or nested too deeply."""
    try:
        data = tomllib.loads(text.source)
        if _too_deep(data):
            raise RecursionError
        return data
    except tomllib.TOMLDecodeError as error:
        message, _, position = str(error).rpartition(" (at ")
        found = re.search(r"line (\d+)", position)
        line = int(found[1]) if found else text.source.count("\n") + 1
        fault = Fault(text.file, line, "", f"this is not TOML: {message or error}", "valid TOML; see toml.io")
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        fault = Fault(text.file, None, "", f"this cannot be read as TOML: {reason}", "valid TOML; see toml.io")
    raise SuiteError([fault])


def _too_deep(data: dict[str, Any]) -> bool:
    level: list[Any] = [data]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
        level = [item for item in level if isinstance(item, dict | list)]
    return bool(level)


def _names(data: dict[str, Any]) -> list[str]:
    """Return the names of all variants, also of those that have other faults."""
    variants = data.get("variant")
    tables = [table for table in variants if isinstance(table, dict)] if isinstance(variants, list) else []
    return [name for table in tables if isinstance(name := table.get("name"), str)]
