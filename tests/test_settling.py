from __future__ import annotations

import numpy as np

from harness.engine.journal import Line
from harness.engine.settling import with_settling
from harness.judge.steady import NEVER_SETTLED, NOT_TESTED


def rounds(*samples: list[float]) -> list[Line]:
    fields = {"visit": 0, "key": "k", "id": "dense", "probe": "latency", "status": "ok", "started": "", "seconds": 0.0}
    return [
        Line.model_validate(fields | {"round": index, "values": {"latency_ms": some}, "notes": [NOT_TESTED]})
        for index, some in enumerate(samples)
    ]


def noisy(seed: int, warm_up: float, number: int = 6) -> list[Line]:
    """Return rounds of three samples with a noise of 3 %, the first slower by the share `warm_up`."""
    noise = np.exp(0.03 * np.random.default_rng(seed).normal(size=(number, 3)))
    return rounds(*(list(map(float, row * [1 + warm_up, 1 + warm_up / 3, 1.0])) for row in noise))


def test_warm_up_that_is_left_in_every_round_is_told() -> None:
    (note,) = with_settling([NOT_TESTED], noisy(0, 0.3))
    assert note.startswith("had not settled: over 6 rounds a visit's first sample took 1.28× [1.25, 1.36]")
    assert sum(with_settling([], noisy(seed, 0.3)) != [] for seed in range(50)) == 50


def test_times_that_stand_are_found_unsettled_in_less_than_one_case_of_twenty() -> None:
    assert sum(with_settling([], noisy(seed, 0.0)) != [] for seed in range(200)) < 10


def test_rounds_that_agree_are_the_test_that_a_visit_had_no_time_for() -> None:
    assert with_settling(["a layer's remark", NOT_TESTED], noisy(0, 0.0)) == ["a layer's remark"]
    assert with_settling([NEVER_SETTLED], noisy(0, 0.0)) == [NEVER_SETTLED]


def test_visits_that_were_tested_themselves_are_not_asked_again() -> None:
    lines = [line.model_copy(update={"notes": []}) for line in noisy(0, 0.3)]
    assert with_settling([], lines) == []
    assert with_settling([NOT_TESTED], [*lines, *noisy(0, 0.3, number=3)]) == [NOT_TESTED]


def test_a_last_block_in_which_the_time_ran_out_is_no_warm_up() -> None:
    """Of unequal blocks it is rather a long one that ends a visit."""
    assert with_settling([NOT_TESTED], rounds(*[[1.0, 1.0, 5.0]] * 6)) == []


def test_few_rounds_or_single_samples_tell_nothing() -> None:
    assert with_settling([NOT_TESTED], noisy(0, 0.3, number=5)) == [NOT_TESTED]
    assert with_settling([NOT_TESTED], rounds(*[[1.0]] * 9)) == [NOT_TESTED]
    assert with_settling([], []) == []
