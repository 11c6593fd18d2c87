from __future__ import annotations

import io

import pytest

from harness.declare.visits import Visit
from harness.engine import progress as progresses
from harness.engine.fold import Circumstances, fold
from harness.engine.progress import CLEAR_LINE, Console, Remaining, show_duration, summary
from harness.record import FailedRecord, OkRecord
from tests import cases
from tests.test_fold import line, planned, rounds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_record() -> OkRecord | FailedRecord:
    case = cases.dense()
    return fold(planned(case), rounds(case, [1.14], [1.152], [1.16]), Circumstances(rounds=3))


def failed_record() -> OkRecord | FailedRecord:
    case = cases.soft()
    return fold(planned(case), [line(case, "check", status="incorrect", reason="it differs")], Circumstances(rounds=3))


def todo() -> list[Visit]:
    first, second = cases.dense().key, cases.soft().key
    return [
        Visit(0, first, "check", None),
        Visit(1, second, "check", None),
        *(Visit(2 + index, key, "latency", index // 2) for index, key in enumerate([first, second] * 3)),
    ]


def visits(console: Console, times: int = 3) -> None:
    for index in range(times):
        console.visited(line(cases.dense(), "latency", index, seconds=2.0))


def test_the_time_that_a_visit_takes_by_design_is_known_before_the_first_one() -> None:
    remaining = Remaining([*todo(), Visit(8, cases.dense().key, "energy", None, 40.0)])
    remaining.visited(cases.dense().key, "check", 1.0)
    assert remaining.eta_seconds() == 1 + 6 + 41
    remaining.visited(cases.dense().key, "energy", 10.0)
    assert remaining.eta_seconds() == pytest.approx(1 + 6 * 5.5)


def test_without_a_terminal_each_finished_case_is_one_plain_line() -> None:
    out = io.StringIO()
    console = Console(out)
    console.begin(2, todo())
    console.visited(line(cases.dense(), "check", seconds=1.0))
    visits(console)
    console.finished(a_record())
    console.finished(failed_record())
    console.end()
    first, second = out.getvalue().splitlines()
    assert first == "[1/2] dense-d32-f64-b2-m16-f32-forward  1.152 ms ±2.2 %  (eta 7 s)"
    assert second == f"[2/2] {cases.soft().id}  incorrect: it differs"
    assert "\r" not in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("forced", ["FORCE_COLOR", "CLICOLOR_FORCE"])
def test_ci_is_never_a_terminal(monkeypatch: pytest.MonkeyPatch, forced: str) -> None:
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv(forced, "1")
    out = Terminal()
    console = Console(out)
    console.begin(2, todo())
    visits(console)
    console.finished(a_record())
    console.end()
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_one_line_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    out = Terminal()
    console = Console(out)
    console.begin(2, todo())
    visits(console)
    console.finished(a_record())
    console.end()
    assert "\n" not in out.getvalue()
    assert out.getvalue().count(CLEAR_LINE) == 4
    assert "latency, round 3" in out.getvalue()
    assert out.getvalue().endswith(CLEAR_LINE)


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_failure_stays_on_the_terminal_and_is_red_unless_asked_not_to(
    monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    out = Terminal()
    console = Console(out)
    console.begin(2, todo())
    console.finished(failed_record())
    assert "incorrect: it differs" in out.getvalue()
    assert out.getvalue().endswith("\n")
    assert ("\x1b[31m" in out.getvalue()) is (no_color == "")


def test_the_status_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    out = Terminal()
    console = Console(out, live=True)
    console.begin(2, todo())
    visits(console)
    assert all(len(part) < 30 for part in out.getvalue().split(CLEAR_LINE))


def test_a_long_silence_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progresses, "HEARTBEAT_S", 0.0)
    out = io.StringIO()
    console = Console(out)
    console.begin(2, todo())
    console.visited(line(cases.dense(), "check", seconds=1.0))
    assert out.getvalue() == "[0/2] 1 of 8 visits made  (eta 7 s)\n"


def test_the_eta_is_by_probe_and_a_failed_case_takes_its_visits_with_it() -> None:
    remaining = Remaining(todo())
    assert remaining.eta_seconds() is None
    remaining.visited(cases.dense().key, "check", 4.0)
    assert remaining.eta_seconds() == pytest.approx(4.0 * 7)
    remaining.visited(cases.dense().key, "latency", 0.5)
    assert remaining.eta_seconds() == pytest.approx(4.0 + 5 * 0.5)
    remaining.finished(cases.soft().key)
    assert remaining.eta_seconds() == pytest.approx(2 * 0.5)
    assert (remaining.made, remaining.total) == (2, 4)


def test_a_case_without_latency_is_ok() -> None:
    case = cases.dense()
    assert summary(fold(planned(case), [line(case, "check")], Circumstances(rounds=1))) == "ok"
    one = fold(planned(case), rounds(case, [1.5]), Circumstances(rounds=1))
    assert summary(one) == "1.50 ms"


def test_a_case_that_noise_drowned_says_so() -> None:
    case = cases.dense()
    noisy = fold(planned(case), rounds(case, [1.0], [1.1], [90.0]), Circumstances(rounds=3))
    assert summary(noisy) == "1.10 ms, too noisy to tell"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40, "40 s"), (59.9, "60 s"), (239, "4 min"), (7800, "2 h 10 min")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text
