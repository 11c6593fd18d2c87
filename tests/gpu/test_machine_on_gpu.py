"""What a real GPU says of itself, and what becomes of a case that breaks it."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from harness.case import Case
from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.devices import Device
from harness.engine.protocol import Request, Result
from harness.engine.runner import WorkerOptions
from harness.engine.runner import run as run_plan
from harness.engine.worker import Worker
from harness.probes import Settings
from tests.cases import dense

pytestmark = pytest.mark.cuda

BROKEN = """
import torch

class Broken(torch.nn.Module):
    def forward(self, x):
        index = torch.full((1,), x.numel() + 1, dtype=torch.long, device=x.device)
        return x + x.flatten().index_select(0, index)  # asserts on the device, out of bounds

def build(case):
    return Broken()
"""
SUITE = """
title = "A layer that breaks the device, before one that does not"
[base]
d_model = 64
d_ff = 128
tokens = 16
batch = 2
[[variant]]
name = "broken"
layer = "broken_on_gpu:build"
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["memory"]
"""


def visit(worker: Worker, case: Case, number: int = 0) -> Result:
    return worker.visit(Request(number, case.variant, case.as_dict(), "memory", asdict(Settings())))


def test_the_state_is_that_of_a_gpu_at_work(gpu: Device) -> None:
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    end = time.perf_counter() + 1.5
    while time.perf_counter() < end:
        for _ in range(20):
            a @ a
        torch.cuda.current_stream().synchronize()
    for _ in range(50):
        a @ a
    state = gpu.state()
    gpu.synchronize()
    assert isinstance(state["sm_clock_mhz"], int)
    assert state["sm_clock_mhz"] > 500, "the clocks are those of a GPU at rest"
    assert isinstance(state["power_w"], float)
    assert state["power_w"] > 100
    assert isinstance(state["event_reasons"], str)
    assert state["foreign_processes"] == 0, "others compute on this GPU: its times are not to be trusted"


def test_the_facts_name_the_gpu(gpu: Device) -> None:
    facts = gpu.facts()
    assert facts["name"] == torch.cuda.get_device_name()
    assert isinstance(facts["l2_bytes"], int)
    assert facts["l2_bytes"] > 1 << 20
    assert facts["driver"]
    assert facts["uuid_hash"]


def test_a_layer_that_does_not_fit_is_out_of_memory_and_the_next_one_runs(gpu: Device) -> None:
    worker = Worker(gpu)
    full = visit(worker, dense(d_model=1 << 16, d_ff=1 << 23, dtype="bfloat16"))
    assert (full.status, full.end) == ("oom", "oom_device")
    assert visit(worker, dense(), 1).status == "ok"


def test_a_layer_that_breaks_the_device_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    (tmp_path / "broken_on_gpu.py").write_text(BROKEN, "utf-8")
    file = tmp_path / "broken.toml"
    file.write_text(SUITE, "utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()
    chosen = plan(parse_suite(SUITE, str(file)))
    result = run_plan(chosen, tmp_path / "run", device_kind="cuda", worker=WorkerOptions(threads=1))
    assert [record.status for record in result.records] == ["crashed", "ok"]
    assert result.records[0].end == "crashed_cuda"
