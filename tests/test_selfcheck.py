"""The self-check's own arithmetic, on comparisons whose truth is known, and its quick form from end to end."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.engine import selfcheck, slowed
from harness.engine.selfcheck import QUICK, SLOWED, Size, suite
from harness.engine.slowed import Slowed
from harness.judge.noise import promised_power
from harness.judge.selfcheck import (
    POWER_80,
    Floor,
    Pair,
    estimate_spread,
    false_positives,
    found_slow_downs,
    pooled_change,
    smallest_change,
    smallest_changes,
    stated_change,
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
    assert smallest_change(0.01) == pytest.approx(math.expm1(0.028), abs=1e-4)
    for rounds in (6, 10, 1000):
        assert promised_power(0.03, 0.03, rounds) == pytest.approx(0.80, abs=0.001)
        assert promised_power(0.0, 0.03, rounds) == pytest.approx(0.025), "of a change that is none, one end of 5 %"
    assert promised_power(0.02, 0.03, 10_000) == pytest.approx(0.46, abs=0.01), "with many rounds it is the normal one"


def test_what_a_run_states_of_equals_is_what_their_estimates_show() -> None:
    pairs = pairs_of(1.0, n=200, rounds=100)
    assert stated_change(pairs) == pytest.approx(smallest_change(estimate_spread(pairs)), rel=0.15)


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
    stated = stated_change(pairs_of(1.0))
    kept = list(found_slow_downs({0.05: pairs_of(1.05)}, stated))
    assert [figure.met for figure in kept] == [True, None]
    lost = list(found_slow_downs({0.05: pairs_of(1.0)}, stated))  # planted, and not there: a timer that sees nothing
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


class Clock:
    """Processor time that passes while somebody reads it, and while the FFN works."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def thread_time(self) -> float:
        self.seconds += 1e-5
        return self.seconds


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_the_planted_slow_down_is_there(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, layer = Clock(), Slowed(dense(d_model=16, d_ff=32), share)
    monkeypatch.setattr(slowed, "time", clock)
    sound = layer.ffn.forward

    def works(x: torch.Tensor) -> torch.Tensor:
        clock.seconds += 0.1
        y: torch.Tensor = sound(x)  # type: ignore[no-untyped-call]
        return y

    monkeypatch.setattr(layer.ffn, "forward", works)
    layer(torch.randn(1, 4, 16))
    assert clock.seconds == pytest.approx(0.1 * (1 + share), abs=1e-4)


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
    monkeypatch.setattr(session, "QUICK", replace(QUICK, equals=1, planted=1))
    assert session.main(["--quick"]) == 3
    assert "harness: by_nothing-0-" in (said := capsys.readouterr().err)
    assert "has no times in all rounds" in said


def test_the_page_has_a_place_for_the_table() -> None:
    assert METHOD.read_text("utf-8").count("<!-- selfcheck: written by `nox -s selfcheck` -->") == 1
