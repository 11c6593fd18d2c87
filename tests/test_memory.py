"""The memory probe: parts that add up, what stands beside the pass, predictions, and an allocator in trouble."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.plan import plan
from harness.declare.suite import load_suite
from harness.devices import open_device
from harness.devices.cuda import CudaDevice
from harness.engine.folder import read_run
from harness.engine.runner import run
from harness.layers import build
from harness.metrics import NOISY_SERIES
from harness.probes import Outcome, Settings, make_subject, memory
from harness.probes.fake_memory import NoFake, fake_attribution
from harness.probes.memory import PARTS
from harness.record import OkRecord
from reports.read import read_run as read_for_report
from reports.review import review
from tests.cases import dense, dense_moe, encoder, families, soft, token_choice
from tests.scripted_cuda import ScriptedCuda, ScriptedNvml

SIZE: dict[str, Any] = {"d_model": 64, "d_ff": 256, "tokens": 64, "batch": 4}


def measured(case: Case) -> Outcome:
    return memory.measure(make_subject(case, build(case)), open_device("cpu"), Settings())


def number(outcome: Outcome, name: str) -> int:
    value = outcome.values[f"memory_{name}_bytes"]
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
def test_the_parts_add_up_to_the_peak_to_the_byte(pass_: str, dtype: str) -> None:
    for case in families(pass_=pass_, dtype=dtype, **SIZE):
        outcome = measured(case)
        parts = [number(outcome, part) for part in ("saved_at_peak", "gradients", "temporaries", "workspace")]
        assert sum(parts) == number(outcome, "peak"), case.id
        assert min(parts) >= 0, case.id
        assert number(outcome, "saved_at_peak") <= (number(outcome, "saved") if case.trains else 0)
        if dtype == "float32":
            assert number(outcome, "workspace") == 0, case.id


def test_a_copy_inside_a_kernel_is_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product of an expanded 1024 x 1024 operand: 64 KiB can be seen, and 4 MiB that no dispatch mode sees."""
    monkeypatch.syspath_prepend("tests/plugins")
    case = dense(layer="black_boxes:hidden_copy", d_model=16, tokens=1024, batch=1)
    outcome = measured(case)
    assert number(outcome, "workspace") == 4 * 2**20
    assert number(outcome, "temporaries") == 65_536
    assert number(outcome, "peak") == 4_259_840


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
def test_what_stands_beside_the_pass_is_counted(pass_: str) -> None:
    case = token_choice(pass_=pass_, **SIZE)
    outcome, params = measured(case), cost(case).params
    x = 4 * 256 * 64
    assert number(outcome, "weights") == 4 * params
    assert number(outcome, "inputs") == (x if pass_ == "forward" else 2 * x)  # the upstream gradient too
    if pass_ == "train":  # two moments a weight, and a step for each of its tensors: router, W_1, b_1, W_2, b_2
        assert number(outcome, "optimizer") == 2 * 4 * params + 5 * 4
    else:
        assert "memory_optimizer_bytes" not in outcome.values


def test_the_peak_is_the_same_whatever_lay_about_before_it() -> None:
    """A profiler knows blocks by address: what is freed in the pass must not be booked to blocks of earlier ones."""
    subject = make_subject(case := dense(pass_="forward_backward", **SIZE), build(case))
    peaks = set()
    for _ in range(4):
        rubbish: list[Any] = [torch.ones(2**16)]
        rubbish.append(rubbish)
        del rubbish
        peaks.add(memory.measure(subject, open_device("cpu"), Settings()).values["memory_peak_bytes"])
    assert peaks == {917_760}


# predictions


@pytest.mark.parametrize(
    "case",
    [
        dense(**SIZE),
        dense_moe(**SIZE),
        soft(**SIZE),
        dense(activation="relu", **SIZE),
        dense(gated=True, activation="silu", **SIZE),
    ],
    ids=lambda case: str(case.id),
)
def test_closed_form_fake_tensors_and_allocator_agree_exactly(case: Case) -> None:
    outcome = measured(case)
    assert number(outcome, "peak") == number(outcome, "fake") == cost(case).memory_predicted


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
@pytest.mark.parametrize(
    "case",
    [
        *families(**SIZE)[:2],
        *families(**SIZE)[3:],
        token_choice(backend="onehot", capacity_factor=1.25, **SIZE),
        token_choice(backend="batched", **SIZE | {"tokens": 8}),
        encoder(dense()),
    ],
    ids=lambda case: str(case.id),
)
def test_fake_tensors_find_the_allocators_peak_in_every_pass(case: Case, pass_: str) -> None:
    """With threads, a reduction's kernel takes some hundred bytes for what each has summed; that is its workspace."""
    outcome = measured(replace(case, pass_=pass_))
    assert number(outcome, "fake") == number(outcome, "peak") - number(outcome, "workspace")
    assert number(outcome, "workspace") <= 512 * (torch.get_num_threads() - 1)
    assert number(outcome, "fake") == pytest.approx(cost(replace(case, pass_=pass_)).memory_predicted, rel=0.25)


def test_fake_tensors_leave_the_layer_alone() -> None:
    subject = make_subject(case := token_choice(pass_="train", capacity_factor=1.0, **SIZE), build(case))
    before = {name: weight.clone() for name, weight in subject.layer.state_dict().items()}
    fake_attribution(subject)
    assert all(torch.equal(weight, before[name]) for name, weight in subject.layer.state_dict().items())
    assert all(type(weight) is torch.nn.Parameter and weight.grad is None for weight in subject.layer.parameters())


def test_a_shape_that_depends_on_the_data_has_no_fake_peak_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    outcome = measured(token_choice(backend="loop", **SIZE))
    assert "memory_fake_bytes" not in outcome.values
    assert "memory_fake_bytes is not predicted: a shape depends on the data" in outcome.notes
    measured(token_choice(pass_="forward_backward", **SIZE))  # torch has no shape rule for it in float32
    assert not caplog.records


def test_a_layer_that_fake_tensors_cannot_enter_says_why() -> None:
    subject = make_subject(case := dense(**SIZE), build(case))
    sound = subject.layer.forward

    def forward(x: Tensor) -> Tensor:
        return sound(torch.from_numpy(x.numpy()))

    subject.layer.forward = forward  # type: ignore[method-assign]
    with pytest.raises(NoFake, match=r"fake tensors do not go through the layer \(\w+: "):
        fake_attribution(subject)


# through the worker, to the record and the report


def test_a_run_keeps_parts_that_add_up_and_its_report_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    suite = tmp_path / "memory.toml"
    suite.write_text(
        'title = "Memory"\n[base]\nd_model = 64\nd_ff = 128\ntokens = 32\nbatch = 2\npass = "train"\n'
        '[measure]\nprobes = ["flops", "memory"]\n'
        '[[variant]]\nname = "top-1"\nlayer = "token_choice"\nexperts = 4\ntop_k = 1\ncapacity_factor = 1.25\n'
        '[[variant]]\nname = "dense"\nlayer = "dense"\n'
    )
    (tmp_path / "run").mkdir()
    run(plan(load_suite(suite)), tmp_path / "run", device_kind="cpu")
    for record in read_run(tmp_path / "run").records:
        assert isinstance(record, OkRecord), record.reason
        assert record.metrics["memory_peak_moment"].value in ("backward", "step")
        values = {name: v.value for name, v in record.metrics.items() if isinstance(v.value, (int, float))}
        assert sum(values[part] for part in PARTS) == values["memory_peak_bytes"]
        assert values["memory_optimizer_bytes"] > 2 * values["memory_weights_bytes"]
        assert values["memory_fake_bytes"] == values["memory_peak_bytes"] - values["memory_workspace_bytes"]
        assert values["flops_model"] >= values["flops_routed"]
        share = values["flops_routed"] / values["flops_executed"]
        assert values["padding_efficiency"] == pytest.approx(share)
    shown = review(read_for_report(tmp_path / "run")).memory
    assert "optimizer" in shown.roles
    assert len(shown.bars) == 2


# CUDA, scripted


def scripted(cuda: ScriptedCuda, case: Case, *calls: tuple[int, int]) -> Outcome:
    """Measure a layer each of whose calls holds (temporary, staying) bytes on the scripted GPU, the last for good."""
    gpu = CudaDevice(cuda=cuda, nvml=ScriptedNvml(), allocate=cuda.buffer)
    subject = make_subject(case, build(case))
    sound, script = subject.layer.forward, list(calls)

    def forward(x: Tensor) -> Tensor:
        temporary, staying = script.pop(0) if len(script) > 1 else script[0]
        cuda.allocated += staying
        cuda.kernel(1.0, temporary=temporary)
        return sound(x)

    subject.layer.forward = forward  # type: ignore[method-assign]
    return memory.measure(subject, gpu, Settings())


def said(outcome: Outcome) -> list[str]:
    """The notes, but for one: fake tensors do not go through the script."""
    return [note for note in outcome.notes if not note.startswith("memory_fake_bytes")]


def test_a_workspace_of_the_first_call_is_in_the_baseline() -> None:
    """cuBLAS takes 8 MB at its first product and keeps them: that is no peak of the layer's."""
    outcome = scripted(ScriptedCuda(), dense(**SIZE), (400_000, 8 << 20), (400_000, 0))
    assert number(outcome, "peak") == 400_000
    assert number(outcome, "reserved") == 2 << 20
    assert number(outcome, "workspace") == 400_000 - number(outcome, "temporaries")


def test_parts_that_do_not_add_up_are_left_out_and_told() -> None:
    outcome = scripted(ScriptedCuda(), dense(**SIZE), (1000, 0))
    assert number(outcome, "peak") == 1000
    assert not set(PARTS) & set(outcome.values)
    assert said(outcome) == [
        "the parts of the peak do not add up to it and are left out: tensors of 320 KiB were seen in a peak of 1000 B"
    ]


def test_an_allocator_in_trouble_is_told() -> None:
    """Its cache given back once in the warm-up is not this pass's; twice in the pass is."""
    cuda = ScriptedCuda(retries=1, split=1 << 20, rounding=384)
    sound = cuda.kernel

    def kernel(ms: float, temporary: int = 0, stream: str = "current") -> None:
        cuda.retries += 2 * (cuda.log[-1] == "reset_peak")
        sound(ms, temporary, stream)

    cuda.kernel = kernel  # type: ignore[method-assign]
    outcome = scripted(cuda, dense(**SIZE), (400_000, 0))
    assert outcome.series["memory_num_alloc_retries"] == [2.0]
    assert outcome.series["memory_inactive_split_bytes"] == [float(1 << 20)]
    assert outcome.series["memory_rounding_bytes"] == [384.0]
    assert {*outcome.series} <= NOISY_SERIES
    assert "tried again 2 times in the measured pass" in said(outcome)[0]
    assert said(outcome)[1] == "1.00 MiB of what the allocator holds lies in split blocks that nobody uses"


def test_a_quiet_allocator_says_nothing() -> None:
    assert said(scripted(ScriptedCuda(), dense(**SIZE), (400_000, 0))) == []
    assert measured(dense(**SIZE)).series == {}
