"""Black boxes through the real worker: right ones get every number to be had from outside, wrong ones a reason."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import torch

from harness.case import Case
from harness.declare.plan import plan
from harness.declare.suite import load_suite
from harness.engine.folder import Run, read_run
from harness.engine.runner import run
from harness.layers import build, reference_of
from harness.layers.interface import NoReference, Unsupported
from harness.probes import phases
from harness.record import FailedRecord, OkRecord
from reports import render
from tests.cases import dense
from tests.test_cli import cache, harness

__all__ = ["cache"]  # a fixture: this device's ceilings are at hand

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "tests" / "plugins" / "boxes.toml"
PORTS = {"soft-port": "soft_moe_pytorch", "st-port": "st_moe_pytorch"}
ABSENT = (
    "there is no module no_such_package.layers beside the suite, in the working folder, or among the installed packages"
)
AXES = ("run", "batch_size", "position", "composition")


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of every box, from a folder in which none of them lies."""
    folder = tmp_path_factory.mktemp("boxes") / "run"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.parent))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("PYTHONSAFEPATH", "1")  # the working folder is the checkout
        run(plan(load_suite(SUITE)), folder, device_kind="cpu")
    return read_run(folder)


def ok(boxes: Run, variant: str) -> OkRecord:
    record = _record(boxes, variant)
    assert isinstance(record, OkRecord), record.reason
    return record


def failed(boxes: Run, variant: str) -> tuple[str, str]:
    record = _record(boxes, variant)
    assert isinstance(record, FailedRecord)
    return record.status, record.reason


def _record(boxes: Run, variant: str) -> OkRecord | FailedRecord:
    return next(record for record in boxes.records if record.variant == variant)


def causes(record: OkRecord) -> list[str | None]:
    found = (record.metrics.get(f"det_{axis}_cause") for axis in AXES)
    return [None if value is None else str(value.value) for value in found]


def test_a_box_gets_every_number_that_needs_no_look_inside(boxes: Run) -> None:
    mine, ours = ok(boxes, "good"), ok(boxes, "ours")
    exact = ("params", "flops_counted", "memory_weights_bytes")
    assert [mine.metrics[name].value for name in exact] == [ours.metrics[name].value for name in exact]
    assert mine.metrics["latency_ms"].rounds is not None
    assert len(mine.metrics["latency_ms"].rounds) == 2
    assert causes(mine) == ["none"] * 4 or "rounding" in causes(mine)
    assert set(ours.metrics) - set(mine.metrics) == {
        "params_active", "flops_model", "flops_routed", "flops_executed", "padding_efficiency",
        "memory_predicted_bytes",
        *(name for name in phases.METRICS if phases.EXCHANGE not in name),  # of a layer over ranks alone
    }  # fmt: skip
    assert set(mine.metrics) < set(ours.metrics)
    assert mine.backend == "black_boxes:good"
    assert mine.notes[:3] == [  # a busy machine adds more
        "the output was compared with the layer's own copy in float64 alone, not with its mathematics",
        "routing is not measured: nobody can look into this layer's router from outside",
        "phases are not measured: this layer marks none",
    ]


def test_a_box_without_weights(boxes: Run) -> None:
    record = ok(boxes, "without_weights")
    assert (record.metrics["params"].value, record.metrics["flops_counted"].value) == (0, 0)


@pytest.mark.parametrize(
    ("variant", "status", "reason"),
    [
        ("shape", "incorrect", "the output is [4, 15, 32] float32, expected [4, 16, 32] float32"),
        ("dtype", "incorrect", "the output is [4, 16, 32] float16, expected [4, 16, 32] float32"),
        ("not_a_number", "incorrect", "the output holds NaN or infinity"),
        ("pair", "incorrect", "the layer returned a tuple, expected a tensor [4, 16, 32]"),
        ("writes", "incorrect", "the layer writes into its input"),
        ("raises", "crashed", "ValueError: trouble of its own"),
        ("declines", "unsupported", "it has no float32"),
        ("no_module", "crashed", "TypeError: black_boxes:no_module returned a dict; expected a torch.nn.Module"),
        ("NUMBER", "crashed", "TypeError: black_boxes:NUMBER is an int; expected a function that takes a case"),
        ("absent", "unsupported", ABSENT),
    ],
)
def test_a_wrong_box_says_what_is_wrong(boxes: Run, variant: str, status: str, reason: str) -> None:
    assert failed(boxes, variant) == (status, reason)


def test_a_function_that_is_missing_names_those_that_are_there(boxes: Run) -> None:
    status, reason = failed(boxes, "missing")
    assert status == "crashed"
    pattern = r"TypeError: black_boxes \(.*tests/plugins/black_boxes\.py\) has no 'missing'; it has Ffn, good, .*"
    assert re.fullmatch(pattern, reason)


def test_one_that_raises_keeps_its_own_traceback(boxes: Run) -> None:
    (line,) = (line for line in boxes.lines if line.id.startswith("raises-") and line.status == "crashed")
    assert line.reason == "ValueError: trouble of its own"
    assert line.detail is not None
    assert "in two lines" in line.detail
    assert re.search(r'black_boxes\.py", line \d+, in _trouble', line.detail)


def test_the_boxs_own_copy_tells_coupling_from_rounding(boxes: Run) -> None:
    record = ok(boxes, "coupled")
    run_, batch_size, _, composition = causes(record)
    assert (run_, batch_size, composition) == ("none", "coupling", "coupling")
    assert "coupling or drops: from outside, tokens that push each other out of an expert look like coupled ones" in (
        record.notes
    )


def test_without_a_copy_the_cause_is_not_claimed(boxes: Run) -> None:
    record = ok(boxes, "stubborn")
    run_, batch_size, _, composition = causes(record)
    assert (run_, batch_size, composition) == ("none", None, None)
    assert record.metrics["det_batch_size"].value == 0.0
    copy, fake, why = record.notes[:3]
    assert copy == (
        "the output was compared with nothing: this layer has no copy in float64 (RuntimeError: there is one of me)"
    )
    assert fake.startswith("memory_fake_bytes is not predicted: fake tensors do not go through the layer")
    assert why.startswith("why rows differ is not known: this layer has no copy in float64")


def test_random_numbers_are_told_from_neighbours(boxes: Run) -> None:
    record = ok(boxes, "random")
    assert causes(record) == [None] * 4
    assert any("draws random numbers" in note for note in record.notes)
    assert any(note.startswith("64 of 64 rows differ from that copy by more than rounding") for note in record.notes)


def test_a_box_keeps_the_format_that_it_chose(boxes: Run) -> None:
    record = ok(boxes, "half")
    assert record.metrics["memory_weights_bytes"].value == ok(boxes, "good").metrics["params"].value * 2
    assert record.notes[0].startswith("the output was compared with nothing: this layer has no copy in float64 (Runt")


@pytest.mark.parametrize("variant", PORTS)
def test_lucidrains_ports(boxes: Run, variant: str) -> None:
    if importlib.util.find_spec(PORTS[variant]) is None:
        pytest.skip(f"{PORTS[variant]} is not installed")
    record = ok(boxes, variant)
    assert causes(record)[0] == "none", "the same input gives the same output"
    assert not any("rows differ" in note for note in record.notes)
    if variant == "soft-port":  # router, dispatch and combine of 8 slots, and 8 rows a sequence: forward, and back
        assert record.metrics["flops_counted"].value == 3 * 4 * (3 * 2 * 16 * 8 * 32 + 8 * 4 * 32 * 64)
        assert set(causes(record)) <= {"none", "rounding"}


def test_the_report_has_the_boxes_beside_our_layer(boxes: Run, tmp_path: Path) -> None:
    page = tmp_path / "boxes.html"
    rendered = render(boxes.folder, html=page)
    text, summary = page.read_text(), rendered.summary.read_text()
    assert "None" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    assert "ValueError: trouble of its own" in text
    assert "cause unknown" in text
    assert "| good | ours | equal FLOPs |" in summary
    json.loads(rendered.data.read_text())


def test_weights_are_drawn_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUITE.parent))
    case = _box("good")
    before = torch.random.get_rng_state()
    first, again, other = build(case, seed=1), build(case, seed=1), build(case, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before), "and nobody else's numbers are touched"
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_a_float32_box_is_cast_and_put_into_its_mode(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUITE.parent))
    for pass_ in ("forward", "train"):
        layer = build(_box("good", dtype=dtype, pass_=pass_))
        assert {str(weight.dtype) for weight in layer.parameters()} == {f"torch.{dtype}"}
        assert layer.get_submodule("module").training is (pass_ == "train")
        assert reference_of(layer)(torch.zeros(1, 1, 32).double()).dtype == torch.float64


def test_no_reference_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SUITE.parent))
    with pytest.raises(NoReference, match="RuntimeError: there is one of me"):
        reference_of(build(_box("stubborn")))
    with pytest.raises(Unsupported, match="there is no module nowhere"):
        build(dense(layer="nowhere:build"))


def _box(name: str, **changes: object) -> Case:
    return dense(layer=f"black_boxes:{name}", **changes)


def test_a_run_from_the_command_line_resumes_with_its_code(tmp_path: Path) -> None:
    """Beside the suite, from another folder: first the run, then its resumption, which knows the folder still."""
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "mine.py").write_text("from torch import nn\n\ndef build(case):\n    return nn.Identity()\n")
    suite = tmp_path / "suite" / "mine.toml"
    head = 'title = "T"\n[base]\nd_model = 8\nd_ff = 8\ntokens = 2\nbatch = 2\n[measure]\nprobes = ["memory"]\n'
    suite.write_text(head + '[[variant]]\nname = "mine"\nlayer = "mine:build"\n')
    out = tmp_path / "run"
    done = harness("run", suite, "-o", out, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (out / "journal.jsonl").write_text("")
    (out / "records.jsonl").unlink()
    again = harness("run", "--resume", out, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    (record,) = read_run(out).records
    assert record.status == "ok"
