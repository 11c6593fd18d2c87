"""A layer that does its worst: its own case bears it, in words, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.folder import read_run
from harness.engine.keeper import WorkerOptions
from harness.record import FailedRecord
from tests.faults.conftest import Size
from tests.faults.layers import EVERY_FAULT, FAULTS, TIMED
from tests.faults.sweeps import make_plan, program, sweep, witness_of
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
    "hangs": "no answer within ",
    "eats-memory": "out of memory on the host",
    "exits": "exited with code 0",
    "returns-NaN": "the output holds NaN or infinity",
    "returns-another-shape": "the output is [16, 16]",
}
"""What the reason of a case must say."""


MEMORY_BYTES = 1_500_000_000
"""What a worker may hold here: three times what torch takes for itself."""


def test_a_faulty_layer_harms_its_own_case_alone(folder: Path, truth: Truth, tally: Tally, size: Size) -> None:
    """All kinds in one sweep, each where it is checked and (but in the small form) where it is timed."""
    _sweep_with(
        folder, EVERY_FAULT if size.whole else list(FAULTS), truth, tally, size, "all faulty layers in one sweep"
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_each_faulty_layer_by_itself(folder: Path, truth: Truth, tally: Tally, size: Size, fault: str) -> None:
    if not size.whole:
        pytest.skip("in the whole form alone: `nox -s faults`")
    names = [name for name in EVERY_FAULT if name.removesuffix(TIMED) == fault]
    _sweep_with(folder, names, truth, tally, size, f"a layer that {fault.replace('-', ' ')}")


def _sweep_with(folder: Path, names: list[str], truth: Truth, tally: Tally, size: Size, kind: str) -> None:
    """Sweep with these faulty layers among the sound ones, and count what they did to all."""
    timeout = size.times(5.0, 10.0)  # on a busy machine the first count of FLOPs in a process takes seconds
    chosen = make_plan(names, probes=size.probes, timeout=timeout)
    program_ = program(witness_of(folder))
    sweep(folder, chosen, worker=WorkerOptions(threads=1, program=program_, memory_bytes=MEMORY_BYTES))
    mine = {planned.case.key: truth[planned.case.key] for planned in chosen.cases}
    statuses = {name: (STATUS[name.removesuffix(TIMED)],) for name in names}
    tally.add(kind, count(folder, mine, injected=len(names), statuses=statuses))
    _check_words(folder)


def _check_words(folder: Path) -> None:
    for record in read_run(folder).records:
        words = WORDS.get(record.variant.removesuffix(TIMED))
        if words is not None and isinstance(record, FailedRecord):
            assert words in record.reason
