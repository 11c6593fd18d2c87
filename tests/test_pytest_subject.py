"""The fixture `subject`: somebody's own layer, timed, counted and checked in two lines."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness.record import OkRecord, Value
from harness.testing.measured import Measured, Number
from tests.cases import dense
from tests.pytest_sessions import arguments, load_all

pytest_plugins = ["pytester"]

LAYERS = """
import torch, pytest
from torch import nn
from harness.layers.interface import Unsupported

class Mine(nn.Module):
    def __init__(self, d_model):
        super().__init__()
        self.up, self.down = nn.Linear(d_model, 32), nn.Linear(32, d_model)

    def forward(self, x):
        return self.down(self.up(x).relu())

class Coupled(nn.Module):
    def forward(self, x):
        return x - x.mean()

SMALL = {"batch": 3, "tokens": 4, "d_model": 16, "rounds": 2, "seconds": 0.001}
"""
Session = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    load_all()


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Run the tests of a text, after LAYERS."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # by which pytest-benchmark would stand aside

    def run(tests: str, *words: str) -> pytest.RunResult:
        pytester.makepyfile(test_own=LAYERS + tests)
        return pytester.runpytest_inprocess(*arguments(), *words)

    return run


def test_two_lines_time_count_and_check(session: Session, pytester: pytest.Pytester) -> None:
    done = session(
        "def test_mine(subject):\n"
        "    result = subject(Mine(16), **SMALL)\n"
        "    assert result.params == 2 * 16 * 32 + 32 + 16\n"
        "    assert result.flops_counted == 3 * 4 * 2 * 2 * 16 * 32\n"
        "    assert result.memory_weights_bytes.high == 4 * result.params\n"
        "    assert result.det_run == 1.0 and result.det_run_cause == 'none'\n"
        "    assert 0 < result.latency_ms.low <= result.latency_ms <= result.latency_ms.high\n"
        "    assert len(result.latency_ms.rounds) == 2\n",
        "--benchmark-json=out.json",
    )
    done.assert_outcomes(passed=1)
    written = json.loads(pytester.path.joinpath("out.json").read_text())
    (benchmark,) = written["benchmarks"]
    assert benchmark["fullname"] == "test_own.py::test_mine"
    assert benchmark["options"]["timer"] == "device"
    assert benchmark["extra_info"]["flops_counted"] == 24576
    assert (benchmark["params"]["batch"], benchmark["params"]["layer"]) == (3, "test_own:Mine")
    assert len(benchmark["stats"]["data"]) == 2
    assert "moe_harness" not in written["machine_info"], "other tests' files are compared by it"
    assert written["moe_harness"]["device"]["kind"] == "cpu"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("probes=['latncy']", "probes[0]: 'latncy' is not known here: expected flops, latency, memory, "),
        ("probes=['latncy']", "; did you mean latency?"),
        ("probes='latency'", "probes: 'latency' is not possible here: expected a list"),
        ("probes=[]", "probes: an empty list asks for nothing: expected at least one value"),
        ("rounds=0", "rounds: 0 is not possible here: expected a number of at least 1"),
        ("rounds=2.5", "rounds: 2.5 is not possible here: expected a whole number"),
        ("seconds=-1", "seconds: -1 is not possible here: expected a number above 0"),
        ("seed=-1, rounds='two'", "rounds: 'two' is not possible here: expected a whole number; seed: -1"),
    ],
)
def test_a_bad_option_is_told_in_our_words(session: Session, option: str, told: str) -> None:
    usual = "batch=3, tokens=4, d_model=16"
    done = session(f"def test_it(subject): subject(Mine(16), {usual}, {option})\n")
    done.assert_outcomes(failed=1)
    shown = str(done.stdout)
    assert told in shown
    assert "pydantic" not in shown
    assert "validation error" not in shown


def test_a_coupled_layer_fails_the_tests_own_assertion_with_its_cause(session: Session) -> None:
    done = session("def test_it(subject):\n    assert subject(Coupled(), **SMALL).det_batch_size == 1.0\n")
    done.assert_outcomes(failed=1)
    shown = str(done.stdout)
    assert "Measured(Coupled, " in shown
    assert "det_batch_size_cause" in shown
    assert "coupling" in shown


def test_what_is_wrong_with_a_layer_is_a_sentence(session: Session) -> None:
    done = session(
        "def test_shape(subject): subject(nn.Linear(16, 8), **SMALL)\n"
        "def test_raises(subject): subject(lambda x: 1 / 0, **SMALL)\n"
        "def test_nan(subject): subject(lambda x: x / 0 * 0, **SMALL)\n"
        "def not_here(x): raise Unsupported('needs a kernel')\n"
        "def test_unsupported(subject): subject(not_here, **SMALL)\n"
        "def test_axis(subject): subject(Mine(16), **SMALL, expert=3)\n"
        "def test_pass(subject): subject(Mine(16), **SMALL, pass_='backward')\n"
        "def test_dtype(subject): subject(Mine(16), **SMALL, dtype='float8')\n"
        "def test_no_layer(subject): subject(3, **SMALL)\n",
        "-rs",
    )
    done.assert_outcomes(failed=7, skipped=1)
    shown = str(done.stdout)
    for sentence in (
        "incorrect: the output is [3, 4, 8] float32, expected [3, 4, 16] float32",
        "crashed: ZeroDivisionError: division by zero",
        "incorrect: the output holds NaN or infinity",
        "needs a kernel",
        "a case has no axis 'expert'; did you mean experts?",
        "pass_='backward': expected forward, forward_backward or train",
        "dtype=float8: expected float64, float32, bfloat16 or float16",
        "3 is no layer: expected a torch.nn.Module or a function",
    ):
        assert sentence in shown


def test_the_module_comes_back_as_it_was(session: Session) -> None:
    done = session(
        "def test_it(subject):\n"
        "    mine = Mine(16).train()\n"
        "    mine.up.eval(); mine.down.bias.requires_grad_(False)\n"
        "    before = {name: w.detach().clone() for name, w in mine.named_parameters()}\n"
        "    subject(mine, **SMALL, pass_='train', probes=['latency', 'memory'])\n"
        "    assert mine.training and not mine.up.training\n"
        "    assert mine.up.bias.requires_grad and not mine.down.bias.requires_grad\n"
        "    assert all(torch.equal(w, before[n]) and w.grad is None for n, w in mine.named_parameters())\n"
    )
    done.assert_outcomes(passed=1)


def test_two_layers_in_one_test_and_the_first_is_its_benchmark(session: Session, pytester: pytest.Pytester) -> None:
    done = session(
        "@pytest.mark.benchmark(group='pair')\n"
        "def test_pair(subject):\n"
        "    small = subject(lambda x: x + 1, **SMALL, dtype=torch.bfloat16)\n"
        "    large = subject(Mine(16).double(), **SMALL)\n"
        "    assert (small.record.case['dtype'], large.record.case['dtype']) == ('bfloat16', 'float64')\n"
        "    assert small.latency_ms > 0 and large.latency_ms > 0\n",
        "--benchmark-json=out.json",
    )
    done.assert_outcomes(passed=1)
    (benchmark,) = json.loads(pytester.path.joinpath("out.json").read_text())["benchmarks"]
    assert benchmark["params"]["dtype"] == "bfloat16"
    assert (benchmark["group"], benchmark["options"]["timer"]) == ("pair", "device")


def test_disabled_benchmarks_are_checked_all_the_same(session: Session) -> None:
    done = session(
        "def test_right(subject): assert subject(Mine(16), **SMALL).flops_counted > 0\n"
        "def test_wrong(subject): subject(nn.Linear(16, 8), **SMALL)\n",
        "--benchmark-disable",
    )
    done.assert_outcomes(passed=1, failed=1)


def test_somebody_elses_subject_keeps_its_own_timer(session: Session, pytester: pytest.Pytester) -> None:
    done = session(
        "@pytest.fixture\ndef subject(): return sum\ndef test_theirs(subject, benchmark): benchmark(subject, [1, 2])\n",
        "--benchmark-json=out.json",
    )
    done.assert_outcomes(passed=1)
    written = json.loads(pytester.path.joinpath("out.json").read_text())
    assert written["benchmarks"][0]["options"]["timer"] == "perf_counter"
    assert not {"moe_harness"} & {*written, *written["machine_info"], *written["commit_info"]}


def record(**metrics: Value) -> Measured:
    case = dense()
    who = {"key": case.key, "id": case.id, "variant": case.variant, "case": case.as_dict()}
    return Measured(OkRecord.model_validate(who | {"metrics": metrics}))


def test_a_number_knows_its_interval_and_computes_as_a_float() -> None:
    got = record(latency_ms=Value(value=2.0, low=1.5, high=2.5, n=9, rounds=[1.5, None, 2.5]))
    assert (got.latency_ms.low, got.latency_ms.high, got.latency_ms.n) == (1.5, 2.5, 9)
    assert got.latency_ms * 2 == 4
    assert isinstance(got.latency_ms, Number)
    assert repr(got.latency_ms) == "2.0 ms"
    assert "latency_ms" in dir(got)


def test_an_exact_number_is_its_own_interval_and_a_noisy_one_without_rounds_has_none() -> None:
    got = record(params=Value(value=12), latency_ms=Value(value=2.0, n=1, rounds=[2.0]))
    assert (got.params.low, got.params.high) == (12, 12)
    with pytest.raises(ValueError, match="latency_ms has no interval: an interval needs two rounds"):
        _ = got.latency_ms.high


def test_a_metric_that_is_missing_is_said_apart_from_one_that_there_is_not() -> None:
    got = record(params=Value(value=12))
    with pytest.raises(AttributeError, match="mfu was not measured; measured: params"):
        _ = got.mfu
    with pytest.raises(AttributeError, match="there is no metric 'latncy_ms'; did you mean latency_ms"):
        _ = got.latncy_ms
    assert not hasattr(got, "nothing")
