from __future__ import annotations

import pytest

from harness.engine.journal import Line
from harness.engine.standing import standing
from harness.record import SPOILED, End
from tests import cases

CASE = cases.dense()


def line(end: End) -> Line:
    fields = {"visit": 0, "key": CASE.key, "id": CASE.id, "probe": "latency", "round": 0, "started": "", "seconds": 0.0}
    return Line.model_validate(fields | {"status": "crashed", "end": end, "reason": "scripted"})


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("device_lost", "the device was lost in it"),
        ("clock_backwards", "the clock went backwards in it"),
    ],
)
def test_a_visit_that_says_nothing_of_its_case_is_made_again_by_a_resumed_run(end: End, why: str) -> None:
    assert end in SPOILED
    found = standing([line(end)], {CASE.key: CASE}, None, resuming=True)
    assert (found.lines, dict(found.stale)) == ([], {why: 1})
    assert len(standing([line(end)], {CASE.key: CASE}, None).lines) == 1


def test_a_layer_that_takes_no_time_takes_none_again() -> None:
    assert len(standing([line("clock_still")], {CASE.key: CASE}, None, resuming=True).lines) == 1
