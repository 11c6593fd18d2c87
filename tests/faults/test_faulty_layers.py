"""A layer that does its worst: its own case bears it, in words, and nobody else's."""

from __future__ import annotations

from pathlib import Path

from harness.engine.folder import read_run
from harness.record import FailedRecord
from tests.faults.conftest import Size
from tests.faults.layers import EVERY_FAULT, FAULTS, TIMED
from tests.faults.sweeps import make_plan, sweep
from tests.faults.tally import Tally, Truth, count

STATUS = {
    "segfaults": "crashed",
    "hangs": "timeout",
    "eats-memory": "oom",
    "exits": "crashed",
    "writes-rubbish": "ok",
    "forks": "ok",
    "forks-twice": "ok",
    "leaks": "ok",
    "returns-NaN": "incorrect",
    "returns-another-shape": "incorrect",
    "sleeps-on-a-thread": "ok",
}
WORDS = {
    "segfaults": "SIGSEGV",
    "hangs": "no answer within 3 s",
    "eats-memory": "memory",
    "exits": "exited with code 0",
    "returns-NaN": "the output holds NaN or infinity",
    "returns-another-shape": "the output is [16, 16]",
}
"""What the reason of a case must say."""


def test_a_faulty_layer_harms_its_own_case_alone(folder: Path, truth: Truth, tally: Tally, size: Size) -> None:
    """All kinds in one sweep, each where it is checked and (but in the small form) where it is timed."""
    names = EVERY_FAULT if size.whole else list(FAULTS)
    statuses = {name: (STATUS[name.removesuffix(TIMED)],) for name in names}
    chosen = make_plan(names, timeout=3.0)
    sweep(folder, chosen)
    mine = {planned.case.key: truth[planned.case.key] for planned in chosen.cases}
    counts = count(folder, mine, injected=len(names), statuses=statuses)
    tally.add("every faulty layer in one sweep", counts)
    _check_words(folder)


def _check_words(folder: Path) -> None:
    for record in read_run(folder).records:
        words = WORDS.get(record.variant.removesuffix(TIMED))
        if words is not None and isinstance(record, FailedRecord):
            assert words in record.reason
