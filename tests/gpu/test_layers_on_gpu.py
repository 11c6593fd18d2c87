"""Every family on a real GPU: right against float64, counted to the last FLOP, and every probe has its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.case import Case
from harness.declare.costs import BACKENDS, unsupported
from harness.devices import Device
from harness.layers import build
from harness.layers.interface import Unsupported
from harness.probes import PROBES, Outcome, Settings, Subject, make_subject
from tests.cases import dense, families, token_choice

pytestmark = pytest.mark.cuda

SIZE = {"d_model": 256, "d_ff": 512, "batch": 4, "tokens": 128}
SETTINGS = Settings(seconds_per_visit=0.005, min_samples=2)


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case, device="cuda"))


def run(probe: str, subject: Subject, gpu: Device) -> Outcome:
    return PROBES[probe].measure(subject, gpu, SETTINGS)


@pytest.mark.parametrize(
    ("dtype", "pass_"),
    [("float32", "forward_backward"), ("float16", "forward"), ("bfloat16", "forward"), ("bfloat16", "train")],
)
def test_every_probe_measures_every_family(gpu: Device, dtype: str, pass_: str) -> None:
    for case in families(dtype=dtype, pass_=pass_, **SIZE):
        subject = subject_of(case)
        for name in PROBES:
            if name in ("energy", "compile"):  # half a minute each; they have their own steps
                continue
            outcome = run(name, subject, gpu)
            assert outcome.incorrect is None, f"{case.id} {name}: {outcome.incorrect}"


@pytest.mark.parametrize("backend", BACKENDS["token_choice"])
@pytest.mark.parametrize("capacity_factor", [None, 1.0])
def test_every_backend_of_token_choice_is_right_and_counted(
    gpu: Device, backend: str, capacity_factor: float | None
) -> None:
    case = token_choice(dtype="bfloat16", capacity_factor=capacity_factor, backend=backend, **SIZE)
    if reason := unsupported(case, "cuda"):
        pytest.skip(reason)
    try:
        subject = subject_of(case)
    except Unsupported as error:
        pytest.skip(str(error))
    for probe in ("check", "flops", "latency"):
        assert run(probe, subject, gpu).incorrect is None


def test_determinism_leaves_torchs_settings_as_they_were(gpu: Device) -> None:
    def settings() -> tuple[object, ...]:
        matmul = torch.backends.cuda.matmul
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            matmul.allow_bf16_reduced_precision_reduction,
            torch.backends.cudnn.benchmark,
            torch.cuda.current_stream(),
        )

    before = settings()
    outcome = run("determinism", subject_of(token_choice(dtype="bfloat16", **SIZE)), gpu)
    assert settings() == before
    assert outcome.values["det_run"] == 1.0


def test_one_routing_mistake_is_found_on_the_gpu_too(gpu: Device) -> None:
    subject = subject_of(token_choice(dtype="bfloat16", **SIZE))
    sound = subject.layer.forward

    def wrong(x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = sound(x)
        return torch.cat([y[:, :1] * 1.3, y[:, 1:]], dim=1)

    subject.layer.forward = wrong  # type: ignore[method-assign]
    assert "differs from the float64 reference" in str(run("check", subject, gpu).incorrect)


def test_a_compiled_layer_is_right_and_does_not_compile_again(gpu: Device) -> None:
    pytest.importorskip("triton")
    subject = subject_of(replace(dense(dtype="bfloat16", **SIZE), compile=True))
    for probe in ("check", "latency"):
        assert run(probe, subject, gpu).incorrect is None


@pytest.mark.skipif("fixed_tile" not in BACKENDS["dense"], reason="there is no layer of fixed tiles")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_fixed_tiles_do_not_depend_on_the_batch(gpu: Device, dtype: str) -> None:
    for family in (dense, token_choice):
        case = family(dtype=dtype, backend="fixed_tile", **SIZE)
        values = run("determinism", subject_of(case), gpu).values
        assert (values["det_run"], values["det_batch_size"]) == (1.0, 1.0), case.id
