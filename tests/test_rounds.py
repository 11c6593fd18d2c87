"""Rounds: which cases are visited twice, and after how many rounds a run looks at its precision."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.declare.format import Measure
from harness.declare.plan import Plan, plan
from harness.declare.rounds import A_A, LATENCY, cells, looks, order
from harness.declare.suite import parse_suite
from harness.declare.visits import a_a_cells, further_rounds, visits
from tests.sweeps import make_plan

SUITE = """
title = "Rounds"
[base]
tokens = 16
d_ff = 256
[sweep]
d_model = [64, 128, 192, 256, 320, 384, 448, 512]
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["latency"]
rounds = 4
"""


def widths(chosen: Plan, keys: frozenset[str]) -> list[int]:
    return sorted(planned.case.d_model for planned in chosen.cases if planned.case.key in keys)


@pytest.mark.parametrize(("a_a", "expected"), [(0, []), (1, [64]), (2, [64, 320]), (50, [64, 320])])
def test_the_cheapest_and_the_middle_case_are_visited_twice(a_a: int, expected: list[int]) -> None:
    chosen = plan(parse_suite(SUITE + f"a_a = {a_a}"))
    assert widths(chosen, a_a_cells(chosen)) == expected, "a quarter of the eight cases at the most"


def test_the_choice_does_not_depend_on_the_order_of_the_plan() -> None:
    chosen = plan(parse_suite(SUITE))
    assert cells(chosen.cases, 2) == cells(chosen.cases[::-1], 2)


def test_a_compiled_case_is_a_cell_only_where_all_are() -> None:
    both = plan(parse_suite(SUITE.replace("[sweep]", "[sweep]\ncompile = [true, false]")))
    found = [planned.case for planned in cells(both.cases, 2)]
    assert [case.compile for case in found] == [False, False]
    compiled = [planned for planned in both.cases if planned.case.compile]
    assert len(cells(compiled, 1)) == 1


def test_each_group_that_is_measured_together_has_cells_of_its_own() -> None:
    chosen = plan(parse_suite(SUITE))
    assert len(a_a_cells(chosen, cache_bytes=0)) == 8, "groups of one width, one case each"


def test_a_round_visits_cells_twice_at_random_places() -> None:
    chosen = plan(parse_suite(SUITE))
    twice = a_a_cells(chosen)
    made = [visit for visit in visits(chosen) if visit.round is not None]
    of_a_round = {LATENCY: 8, A_A: 2}
    assert Counter((v.probe, v.round) for v in made) == {(p, r): n for r in range(4) for p, n in of_a_round.items()}
    assert {visit.key for visit in made if visit.probe == A_A} == twice
    first = Counter(next(v.probe for v in made if v.round == r and v.key == key) for r in range(4) for key in twice)
    assert first[A_A] not in (0, 8), "either label comes first now and then"


def test_one_round_or_no_latency_has_no_cells() -> None:
    assert a_a_cells(make_plan("a", rounds=1, a_a=2)) == frozenset()
    assert a_a_cells(make_plan("a", probes='"memory"', a_a=2)) == frozenset()
    assert len(a_a_cells(make_plan("a", rounds=2, a_a=2))) == 1


def test_the_cells_are_the_same_in_a_budget() -> None:
    chosen = plan(parse_suite(SUITE))
    places = [{(v.key, v.probe, v.round) for v in visits(chosen, in_budget=hurried)} for hurried in (False, True)]
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (Measure(rounds=6), [6]),
        (Measure(rounds=6, precision=0.02, max_rounds=20), [6, 9, 13, 19, 20]),
        (Measure(rounds=2, precision=0.02, max_rounds=6), [2, 3, 4, 6]),
        (Measure(rounds=6, precision=0.02, max_rounds=6), [6]),
        (Measure(rounds=6, precision=0.02), [6, 9, 13, 19, 28, 42, 60]),
    ],
)
def test_a_run_looks_a_few_times(measure: Measure, expected: list[int]) -> None:
    assert looks(measure) == expected


def test_further_rounds_are_over_the_cases_that_are_still_wanting() -> None:
    chosen = make_plan("a", "b", "c", rounds=2, precision=0.02, max_rounds=6, a_a=1)
    names = {planned.case.key: planned.case.variant for planned in chosen.cases}
    enough, asked = {"a": 2, "b": 3, "c": 100}, []

    def is_wanting(key: str, rounds: int) -> bool:
        asked.append((names[key], rounds))
        return rounds < enough[names[key]]

    made = list(further_rounds(chosen, 20, is_wanting))
    assert asked == [("a", 2), ("b", 2), ("c", 2), ("b", 3), ("c", 3), ("c", 4)]
    in_round = [(round_[0].round, sorted({names[visit.key] for visit in round_})) for round_ in made]
    assert in_round == [(2, ["b", "c"]), (3, ["c"]), (4, ["c"]), (5, ["c"])]
    assert [visit.index for round_ in made for visit in round_] == list(range(20, 20 + sum(map(len, made))))
    assert list(further_rounds(chosen, 20, lambda key, rounds: rounds < enough[names[key]])) == made


def test_cells_go_on_in_further_rounds_with_their_case() -> None:
    chosen = make_plan("a", "b", rounds=2, precision=0.02, max_rounds=3, a_a=1)
    (cell,) = a_a_cells(chosen)
    (round_,) = further_rounds(chosen, 0, lambda key, rounds: True)
    assert Counter(visit.probe for visit in round_) == {LATENCY: 2, A_A: 1}
    (round_,) = further_rounds(chosen, 0, lambda key, rounds: key != cell)
    assert [visit.probe for visit in round_] == [LATENCY]


def test_a_fixed_number_of_rounds_has_no_further_ones() -> None:
    assert list(further_rounds(make_plan("a"), 0, lambda key, rounds: True)) == []
    assert list(further_rounds(make_plan("a", probes='"memory"', precision=0.1), 0, lambda key, rounds: True)) == []


def test_the_order_of_a_round_is_its_seeds() -> None:
    keys = [f"k{n}" for n in range(20)]
    assert list(order(keys, (), "1")) == list(order(keys, (), "1")) != list(order(keys, (), "2"))
