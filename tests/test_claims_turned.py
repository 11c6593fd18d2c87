"""Every shipped claim, turned over: by records of layers that do as it says, and of layers that do not."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.declare.format import Claim
from harness.declare.plan import plan
from harness.declare.suite import load_suite
from harness.engine.manifest import suite_document
from harness.judge.claims import Verdict
from harness.record import OkRecord, Value
from reports.claims import decide
from reports.context import Context
from reports.estimates import chosen
from reports.read import read_run
from reports.results import Result, Run
from reports.run_file import ClaimInfo
from tests import fake_run

SUITES = ("claims", "claims-gpu")
GROUPS = ("Counts", "Cost", "Scaling", "Memory", "Determinism", "Routing")
Numbers = Callable[[Result], float]


@functools.cache
def claims(suite: str) -> dict[str, Claim]:
    return {claim.id: claim for claim in load_suite(suite).claims}


EVERY = [(suite, name) for suite in SUITES for name in claims(suite)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Return the run of a suite, with invented numbers."""

    @functools.cache
    def made(name: str) -> Run:
        planned = plan(load_suite(name))
        cases = [one.case for one in planned.cases]
        folder = fake_run.write_run(tmp_path_factory.mktemp(name) / "run", cases, suite=suite_document(planned))
        return read_run(folder)

    return made


def planted(run: Run, where: str | None, metric: str, numbers: Numbers) -> Run:
    """Return the run in which `metric` of the cases that `where` picks is what `numbers` gives, in every round."""
    records = dict(run.records)
    for result in chosen(Context(run), where):
        record = records[result.key]
        assert isinstance(record, OkRecord)
        value = numbers(result)
        told = Value(value=value, low=value, high=value, rounds=[value] * fake_run.ROUNDS)
        records[result.key] = record.model_copy(update={"metrics": record.metrics | {metric: told}})
    return replace(run, records=records)


def such_layers(run: Run, claim: ClaimInfo, *, hold: bool) -> Run:
    """Return the run with the numbers of layers of which `claim` holds, or of layers that violate it."""
    assert claim.metric is not None
    assert claim.expect is not None
    target, slack = claim.value or 0.0, claim.within
    if claim.expect in ("flat", "rises", "falls", "exponent"):
        power = {"flat": (0, 1), "rises": (1, 0), "falls": (-1, 0), "exponent": (target, target + slack + 1)}
        exponent = power[claim.expect][0 if hold else 1]
        return planted(run, claim.where, claim.metric, lambda one: getattr(one.case, claim.along or "") ** exponent)
    if claim.expect == "correlates":
        assert claim.to is not None
        ranked = planted(run, claim.where, claim.to, lambda one: float(sum(map(ord, one.id))) + one.case.batch)
        return planted(ranked, claim.where, claim.metric, lambda one: (one.number(claim.to or "") or 1) * _sign(hold))
    if claim.against or claim.to:
        ratio = {"equal": claim.value or 1.0, "faster_than": 1.0, "at_most": target, "at_least": target}[claim.expect]
        off = {"equal": (1, 3), "faster_than": (0.5, 2), "at_most": (0.9, 3), "at_least": (1.1, 0.3)}
        times = ratio * off[claim.expect][0 if hold else 1]
        other, named = (claim.against, claim.metric) if claim.against else (claim.where, claim.to or "")
        return planted(planted(run, other, named, lambda _: 1.0), claim.where, claim.metric, lambda _: times)
    wrong = {"equal": 3 * target, "at_most": target + 1, "at_least": target - 1}[claim.expect]
    return planted(run, claim.where, claim.metric, lambda _: target if hold else wrong)


def _sign(hold: bool) -> int:
    return 1 if hold else -1


def verdict(run: Run, name: str) -> Verdict:
    (claim,) = [claim for claim in run.file.suite.claims if claim.id == name]
    return decide(Context(run), claim).verdict


@pytest.mark.parametrize(("suite", "name"), EVERY, ids=["-".join(one) for one in EVERY])
def test_a_claim_is_turned_over_by_layers_that_violate_it(runs: Callable[[str], Run], suite: str, name: str) -> None:
    run = runs(suite)
    (claim,) = [claim for claim in run.file.suite.claims if claim.id == name]
    holding = such_layers(run, claim, hold=True)
    assert verdict(holding, name) == "confirmed"
    assert verdict(such_layers(holding, claim, hold=False), name) == "refuted"
    assert verdict(such_layers(run, claim, hold=False), name) == "refuted"


@pytest.mark.parametrize("suite", SUITES)
def test_a_violation_moves_no_claim_about_other_numbers(runs: Callable[[str], Run], suite: str) -> None:
    run = runs(suite)
    before = {claim.id: verdict(run, claim.id) for claim in run.file.suite.claims}
    for claim in run.file.suite.claims[::7]:
        after, touched = such_layers(run, claim, hold=False), {claim.metric, claim.to} - {None}
        others = [one.id for one in run.file.suite.claims if not {one.metric, one.to} & touched]
        assert others
        assert {name: verdict(after, name) for name in others} == {name: before[name] for name in others}


@pytest.mark.parametrize("suite", SUITES)
def test_every_claim_has_its_group_its_source_and_a_sentence(suite: str) -> None:
    found = claims(suite).values()
    assert {claim.group for claim in found} == set(GROUPS)
    assert all(claim.source and claim.text.endswith(".") and claim.metric and claim.expect for claim in found)


def test_both_suites_make_the_same_claims_but_for_what_a_gpu_alone_shows() -> None:
    small, full = claims("claims"), claims("claims-gpu")
    assert len(small) >= 50
    assert set(full) - set(small) == {"grouped-wants-bfloat16"}
    assert all(full[name] == claim for name, claim in small.items())


@pytest.mark.parametrize("suite", SUITES)
def test_numbers_that_claims_name_are_those_of_the_suites_sizes(suite: str) -> None:
    """Soft MoE's mixing is 3 m / (2 d_ff) of a dense FFN; a Poisson load of mean n has a mean deviation in n."""
    cases = {one.case.variant: one.case for one in plan(load_suite(suite)).cases}
    dense, random = cases["dense"], cases["random"]
    assert claims(suite)["soft-is-dense-and-mixing"].value == 1 + 3 * dense.tokens / (2 * dense.d_ff)
    each = random.batch * random.tokens * (random.top_k or 0) / (random.experts or 1)
    expected = 1 / math.sqrt(2 * math.pi * each)
    assert claims(suite)["random-drops-follow-the-formula"].value == pytest.approx(expected, 1e-3)
