"""Visits: checks first, singles in plan order, latency in shuffled rounds; groups where layers do not fit."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import pytest

from harness.declare.plan import Plan, plan, visits
from harness.declare.suite import parse_suite
from harness.declare.visits import PROBES, Visits, build_key
from tests.sweeps import make_plan

SUITE = """
title = "Visited"
[base]
size = "Ti"
tokens = 16
[sweep]
batch = [1, 8]
dtype = ["float32", "bfloat16"]
[[variant]]
name = "top"
layer = "token_choice"
sweep.experts = [4, 8]
[[variant]]
name = "dense"
layer = "dense"
sweep.backend = ["best", "grouped"]
[measure]
probes = ["latency", "memory", "flops"]
rounds = 4
a_a = 0
"""


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(parse_suite(SUITE))


def running(planned: Plan) -> list[str]:
    return [case.case.key for case in planned.cases if case.runs]


def test_checks_and_singles_come_first_in_plan_order(planned: Plan) -> None:
    order = visits(planned)
    single = [visit for visit in order if visit.round is None]
    assert order[: len(single)] == single
    assert [(visit.key, visit.probe) for visit in single] == [
        (key, probe) for key in running(planned) for probe in ("check", "flops", "memory")
    ]
    assert [visit.index for visit in order] == list(range(len(order)))
    assert PROBES == ("flops", "memory", "determinism", "routing", "phases", "compile", "exchange", "energy")


def test_each_round_visits_every_case_once_in_its_own_order(planned: Plan) -> None:
    latency = [visit for visit in visits(planned) if visit.probe == "latency"]
    rounds = {number: [visit.key for visit in group] for number, group in groupby(latency, lambda visit: visit.round)}
    assert list(rounds) == [0, 1, 2, 3]
    assert all(sorted(keys) == sorted(running(planned)) for keys in rounds.values())
    assert len({tuple(keys) for keys in rounds.values()}) == 4


def test_the_order_is_the_seeds(planned: Plan) -> None:
    assert visits(planned) == visits(plan(parse_suite(SUITE)))
    drawn = Visits(planned)
    assert list(drawn) == list(drawn) == visits(planned)
    assert len(drawn) == len(visits(planned))
    other = plan(parse_suite(SUITE.replace("rounds = 4", "rounds = 4\nseed = 1")))
    assert visits(other) != visits(planned)


def test_what_cannot_run_is_not_visited(planned: Plan) -> None:
    visited = {visit.key for visit in visits(planned)}
    assert visited == set(running(planned))
    assert {case.case.backend for case in planned.cases if not case.runs} == {"grouped"}
    small = plan(parse_suite(SUITE), memory_bytes=4 << 20)
    assert {visit.key for visit in visits(small)} == {case.case.key for case in small.cases if case.fits and case.runs}
    assert len({visit.key for visit in visits(small)}) < len(visited)
    assert visits(plan(parse_suite(SUITE), memory_bytes=1)) == []


def test_layers_that_do_not_fit_are_visited_in_groups_of_equal_work(planned: Plan) -> None:
    kept = visits(planned, cache_bytes=4 << 20)
    cases = {case.case.key: case.case for case in planned.cases}
    work = [(cases[visit.key].batch, cases[visit.key].dtype) for visit in kept]
    assert [key for key, _ in groupby(work)] == [
        (1, "float32"), (1, "bfloat16"), (8, "float32"), (8, "bfloat16"),
    ]  # fmt: skip
    whole = visits(planned)
    assert Counter((v.key, v.probe, v.round) for v in kept) == Counter((v.key, v.probe, v.round) for v in whole)
    assert [visit.index for visit in kept] == list(range(len(kept)))
    for _, group in groupby(zip(kept, work, strict=True), lambda pair: pair[1]):
        probes = [visit.probe for visit, _ in group]
        assert probes.index("latency") == probes.count("check") + probes.count("flops") + probes.count("memory")


def test_exactly_enough_room_is_enough(planned: Plan) -> None:
    weights = {build_key(case.case): case.weight_bytes for case in planned.cases if case.runs}
    assert len(weights) == 6
    room = sum(weights.values())
    assert visits(planned, cache_bytes=room) == visits(planned)
    assert visits(planned, cache_bytes=room - 1) != visits(planned)


def test_without_latency_there_are_no_rounds() -> None:
    source = SUITE.replace('"latency", ', "")
    assert all(visit.round is None for visit in visits(plan(parse_suite(source))))


def test_in_a_budget_what_tells_most_comes_first_over_all_cases() -> None:
    chosen = make_plan("a", "b", probes='"flops", "latency", "memory", "determinism", "routing"', rounds=4)
    made = [(visit.probe, visit.round) for visit in visits(chosen, cache_bytes=0, in_budget=True)]
    stages = [stage for stage, _ in groupby(made)]
    exact: list[tuple[str, int | None]] = [("check", None), ("flops", None), ("memory", None)]
    others: list[tuple[str, int | None]] = [("determinism", None), ("routing", None)]
    assert stages == [*exact * 2, ("latency", 0), ("latency", 1), *others * 2, ("latency", 2), ("latency", 3)]
    assert sorted(made, key=str) == sorted([(v.probe, v.round) for v in visits(chosen)], key=str)


def test_a_budget_without_latency_makes_all_probes() -> None:
    chosen = make_plan("a", probes='"memory", "routing"')
    assert [visit.probe for visit in visits(chosen, in_budget=True)] == ["check", "memory", "routing"]
