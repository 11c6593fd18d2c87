"""Night: what one night was asked, what each of its commands said, and what follows, as `nightly.json` keeps it.

Of the standard library alone: what writes the issue runs where nothing is installed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
NIGHT, SUMMARY, REPORT, COMPARISON = "nightly.json", "summary.md", "report.html", "comparison.md"
GATE, JUNIT, LOG, RUN = "gate.json", "junit.xml", "log.txt", "run"
"""What a night's folder holds; `run` is an ordinary run folder."""
FIRST_WINS = (130, 2, 5, 3, 4, 1)
"""Exit codes other than 0; where several hold, the first of these is the night's."""
FAILED = 3
"""What stands for the code of a command that was killed."""
NO_COMPARISON, REGRESSION, NO_DEVICE, INTERRUPTED = 4, 1, 5, 130
WORDS = {
    0: "✓ nothing is worse",
    1: "✗ regression",
    2: "! it could not be asked",
    3: "! some cases failed",
    4: "≠ not comparable",
    5: "! no such device",
    130: "! interrupted",
}
"""What an exit code means, for a heading."""


class NightError(Exception):
    """A folder holds no night, or one that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of one command."""

    name: str
    """run, report or compare."""
    code: int
    seconds: float
    words: str = ""
    """The last line that it wrote to stderr."""


@dataclass(frozen=True, slots=True)
class Side:
    """A run, as far as a night tells of it."""

    device: str
    commit: str
    """First digits of the harness's commit, or of its sources' digest; `with changes` behind it where it had some."""
    started: str
    command: str
    """What measures the same again."""


@dataclass(frozen=True, slots=True)
class Night:
    """One night."""

    suite: str
    baseline: str | None
    """The baseline's name or folder; None where there was none."""
    base: Side | None
    candidate: Side | None
    """None where nothing was measured."""
    steps: tuple[Ended, ...]
    code: int
    """The exit code."""
    why: str
    """The verdict in a sentence."""
    vanished: tuple[str, ...] = ()
    """Ids of cases that the baseline alone has."""
    appeared: tuple[str, ...] = ()
    """Ids of cases that tonight's run alone has."""

    @property
    def compared(self) -> bool:
        """Whether there is a verdict on tonight's run against a baseline."""
        return self.base is not None and self.code in (0, REGRESSION, FAILED)


def first_of(*codes: int) -> int:
    """Return which of several exit codes wins; one that no command ends with by itself is a failure."""
    known = {code if code == 0 or code in FIRST_WINS else FAILED for code in codes}
    return next((code for code in FIRST_WINS if code in known), 0)


def write_night(folder: Path, night: Night) -> None:
    """Write `nightly.json`."""
    text = json.dumps({"schema": SCHEMA, **asdict(night)}, indent=1, ensure_ascii=False)
    (folder / NIGHT).write_text(text + "\n", "utf-8")


def read_night(folder: Path) -> Night:
    """Return the night in `folder`; raise NightError where there is none that can be read."""
    path = folder / NIGHT
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["schema"] > SCHEMA:
            raise NightError(f"{path} was written by a newer harness (schema {data['schema']}); update this one")
        return _night(data)
    except FileNotFoundError:
        raise NightError(f"{folder} is no night's folder, or its night did not come to an end: no {NIGHT}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NightError(f"{path} cannot be read: {error}") from None


def read_gate(folder: Path) -> dict[str, Any] | None:
    """Return what `harness compare --gate --json` said in that night; None where it said nothing."""
    try:
        found = json.loads((folder / GATE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "gate" in found else None


def _night(data: dict[str, Any]) -> Night:
    base, candidate = (data[side] and Side(**data[side]) for side in ("base", "candidate"))
    return Night(
        suite=data["suite"],
        baseline=data["baseline"],
        base=base,
        candidate=candidate,
        steps=tuple(Ended(**step) for step in data["steps"]),
        code=data["code"],
        why=data["why"],
        vanished=tuple(data["vanished"]),
        appeared=tuple(data["appeared"]),
    )
