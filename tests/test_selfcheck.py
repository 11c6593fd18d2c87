"""The self-check's own arithmetic, on comparisons whose truth is known, and its quick form from end to end."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.case import Case
from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.engine import selfcheck
from harness.engine.selfcheck import QUICK, SLOWED, Size, suite
from harness.engine.slowed import Slowed
from harness.judge.selfcheck import (
    POWER_80,
    Floor,
    Pair,
    estimate_spread,
    false_positives,
    found_slow_downs,
    pooled_change,
    promised_power,
    smallest_change,
    smallest_changes,
    sweeps_with_a_win,
)
from tests.cases import dense
from tests.selfcheck import session

METHOD = Path(__file__).parent.parent / "docs" / "method.md"


def pairs_of(ratio: float, *, sd: float = 0.01, n: int = 100, rounds: int = 10, seed: int = 0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    a, b = rng.lognormal(sigma=sd, size=(2, n, rounds))
    return list(zip((ratio * a).tolist(), b.tolist(), strict=True))


def silent(done: int, of: int) -> None:
    """Hear nothing."""


def test_equals_meet_the_targets_and_planted_differences_do_not() -> None:
    assert [figure.met for figure in false_positives(pairs_of(1.0))] == [True, True, None]
    biased = false_positives(pairs_of(1.03))  # the second name is always slower: an order effect, say
    assert [figure.met for figure in biased] == [False, False, None]


def test_five_of_a_hundred_is_bounded_as_clopper_and_pearson_do() -> None:
    """Published: 5 of 100 has the one-sided 95 % upper bound 10.2 %, so that 200 comparisons are needed."""
    different, equal = pairs_of(1.5, n=5), pairs_of(1.0, sd=1e-6, n=95)
    figure = false_positives([*different, *equal])[0]
    assert figure.found == "5 of 100 (5.0 %); at most 10.2 %"
    assert figure.met is False


def test_the_smallest_change_is_found_four_times_out_of_five() -> None:
    assert pytest.approx(2.80, abs=0.002) == POWER_80
    change = smallest_change(0.01)
    assert change == pytest.approx(math.expm1(0.028), abs=1e-4)
    assert promised_power(change, 0.01) == pytest.approx(0.80, abs=0.001)
    assert promised_power(0.0, 0.01) == pytest.approx(0.05)


def test_pooled_comparisons_know_more() -> None:
    pairs = pairs_of(1.0, sd=0.03, n=200)
    assert estimate_spread(pairs, together=8) == pytest.approx(estimate_spread(pairs) / math.sqrt(8), rel=0.4)
    assert pooled_change(pairs, 80).what == "with 80 pairs of visits, minutes apart"


def test_what_processes_state_is_held_against_what_they_show() -> None:
    """The planted fault: processes that each state 0.5 % and are 5 % apart."""
    honest = [Floor(80, ratio, 0.01) for ratio in (0.998, 1.0, 1.002)]
    boastful = [Floor(80, ratio, 0.005) for ratio in (0.95, 1.0, 1.05)]
    assert [figure.met for figure in smallest_changes(honest)] == [True, None]
    shown, stated = smallest_changes(boastful)
    assert (shown.met, stated.found) == (False, "0.5 %")
    assert float(shown.found.split()[0]) == pytest.approx(15.1, abs=0.2)


def test_slow_downs_are_found_as_promised_or_told_not_to_be() -> None:
    spread = estimate_spread(pairs_of(1.0))
    kept = list(found_slow_downs({0.05: pairs_of(1.05)}, spread))
    assert [figure.met for figure in kept] == [True, None]
    lost = list(found_slow_downs({0.05: pairs_of(1.0)}, spread))  # planted, and not there: a timer that sees nothing
    assert lost[0].met is False


def test_sweeps_of_equals_report_few_wins_and_sweeps_of_two_speeds_many() -> None:
    equal = [rounds for pair in pairs_of(1.0, n=60) for rounds in pair]
    together, alone = sweeps_with_a_win(equal, cells=20, sweeps=15, told=silent)
    assert together.met is True
    assert int(alone.found.split()[0]) > int(together.found.split()[0])
    two_speeds = [rounds for pair in pairs_of(1.1, n=60) for rounds in pair]
    assert sweeps_with_a_win(two_speeds, cells=20, sweeps=5, told=silent)[0].met is False


def test_the_suite_has_every_comparison() -> None:
    assert 2 * Size().equals >= 400
    assert len(plan(parse_suite(suite(QUICK))).cases) == 2 * QUICK.equals + len(SLOWED) * QUICK.planted


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_planted_slow_down_is_there(share: float) -> None:
    """Of many calls the quickest is taken: nothing but the wait can make that one slow."""
    case: Case = dense(d_model=128, d_ff=512)
    x = torch.randn(4, 64, 128)

    def quickest(layer: torch.nn.Module) -> float:
        times = []
        with torch.no_grad():
            for _ in range(30):
                start = time.perf_counter()
                layer(x)
                times.append(time.perf_counter() - start)
        return min(times)

    ratio = quickest(Slowed(case, share)) / quickest(Slowed(case, 0.0))
    assert ratio == pytest.approx(1 + share, rel=0.3)


def test_the_quick_form_runs_from_end_to_end_and_keeps_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    page = tmp_path / "method.md"
    page.write_text(METHOD.read_text("utf-8"), "utf-8")
    assert session.main(["--quick", f"--keep={page}"]) in (0, 1)
    printed, kept = capsys.readouterr().out, page.read_text("utf-8")
    for what in ("equals called faster or slower", "planted slow-down of 2 % found", "sweeps of 3 equal cells"):
        assert what in printed
        assert f"| {what}" in kept


def test_a_case_without_times_ends_it_with_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The planted fault: a slowed layer that there is not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(selfcheck, "SLOWED", {0.0: "by_nothing"})
    monkeypatch.setattr(selfcheck, "QUICK", replace(QUICK, equals=1, planted=1))
    assert selfcheck.main(["--quick"]) == 3
    assert "harness: by_nothing-0-" in (said := capsys.readouterr().err)
    assert "has no times in all rounds" in said


def test_the_page_has_a_place_for_the_table() -> None:
    assert METHOD.read_text("utf-8").count("<!-- selfcheck: written by `nox -s selfcheck` -->") == 1
