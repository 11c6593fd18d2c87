from __future__ import annotations

from typing import get_args

import pytest

from harness.devices.interface import Fact
from harness.engine.marks import _RULES, marks
from harness.record import MARKS, Mark

State = dict[str, Fact]


def test_every_mark_has_words_and_a_rule() -> None:
    assert set(get_args(Mark)) == set(MARKS) == set(_RULES)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({}, {"others_percent": 6.0, "core_seconds": 2.0}, ["busy"]),
        ({}, {"others_percent": 4.9, "core_seconds": 60.0}, []),
        ({}, {"others_percent": 20.0, "core_seconds": 0.1}, []),  # two steps of the clock: may be nothing
        ({}, {"others_percent": None, "core_seconds": 0.0}, []),
        ({"others_percent": 90.0, "core_seconds": 9.0}, {}, []),  # before the visit, not in it
        ({}, {"steal_percent": 1.5, "core_seconds": 4.0}, ["stolen"]),
        ({}, {"steal_percent": 9.0, "core_seconds": 0.1}, []),
        ({"load_per_core": 1.6}, {}, ["loaded"]),
        ({"load_per_core": 1.0}, {"load_per_core": 1.6}, []),
        ({"swap_moved_bytes": 0}, {"swap_moved_bytes": 2 << 20}, ["swapping"]),
        ({"swap_moved_bytes": 9 << 30}, {"swap_moved_bytes": 9 << 30}, []),
        ({}, {"swap_moved_bytes": 9 << 30}, []),  # no reading before: nothing is known of the visit
        ({"quota_throttles": 4}, {"quota_throttles": 5}, ["quota"]),
        ({"quota_throttles": 5}, {"quota_throttles": 5}, []),
        ({}, {"quota_throttles": 5}, []),
        ({"memory_limit_hits": 0}, {"memory_limit_hits": 3}, ["squeezed"]),
        ({"memory_limit_hits": 3}, {"memory_limit_hits": 3}, []),
        ({"foreign_processes": 1}, {"foreign_processes": 0}, ["shared_gpu"]),
        ({"foreign_processes": 0}, {"foreign_processes": 0, "throttled": False}, []),
        ({"throttled": False}, {"throttled": True}, ["throttled"]),
        ({"throttle_count": 3}, {"throttle_count": 4}, ["throttled"]),
        ({"throttle_count": 4}, {"throttle_count": 4}, []),
        ({}, {"temperature_c": 89, "temperature_limit_c": 91}, ["hot"]),
        ({}, {"temperature_c": 80, "temperature_limit_c": 91}, []),
        ({}, {"temperature_c": 99}, []),
        ({"load_per_core": 2.0}, {"others_percent": 50.0, "core_seconds": 2.0}, ["busy", "loaded"]),
        ({"unreadable": "ZeroDivisionError"}, {"unreadable": "ZeroDivisionError"}, []),
    ],
)
def test_a_state_of_the_machine_marks_the_visit(before: State, after: State, expected: list[Mark]) -> None:
    assert marks(before, after) == expected
