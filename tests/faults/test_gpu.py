"""A GPU that runs out of memory, is spoilt by an illegal access, disappears; scripted, as none fails when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.names import Detected
from harness.engine import manifest, runner
from tests.faults.conftest import Size
from tests.faults.gpu import GPU_FAULTS, ILLEGAL_ACCESS, NAME, OUT_OF_MEMORY, bring_back, keep_sound
from tests.faults.sweeps import make_plan, sweep, witness_of
from tests.faults.tally import Tally, Truth, begun, begun_again, count, journaled

STATUS = {OUT_OF_MEMORY: ("oom",), ILLEGAL_ACCESS: ("crashed",)}
"""A case whose device disappeared is measured when it is back."""


@pytest.fixture(autouse=True)
def _scripted_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runner, which has no torch, find the GPU that the worker has."""
    monkeypatch.setattr(runner, "detect", lambda kind: Detected(kind, NAME))
    monkeypatch.setattr(manifest, "memory_bytes", lambda kind: 80 << 30)


def gpu_truth(folder: Path, size: Size) -> Truth:
    """Return the records of a run on the GPU that nothing befalls."""
    keep_sound(witness_of(folder))
    result = sweep(folder, make_plan(GPU_FAULTS, probes=size.probes), device_kind="cuda")
    assert {record.status for record in result.records} == {"ok"}
    return {record.key: record for record in result.records}


def test_a_gpu_that_fails(folder: Path, tally: Tally, size: Size) -> None:
    truth, chosen = gpu_truth(folder.with_name("undisturbed"), size), make_plan(GPU_FAULTS, probes=size.probes)
    for number in range(size.times(1, 5)):
        run = folder.with_name(f"run-{number}")
        first = sweep(run, chosen, device_kind="cuda")
        assert (first.status, first.end) == ("interrupted", "no_device")
        before, kept = begun(run), journaled(run)
        bring_back(witness_of(run))
        assert sweep(run, chosen, device_kind="cuda", resume=True).status == "complete"
        again = begun_again(before, kept, run)
        counts = count(run, truth, injected=len(GPU_FAULTS), statuses=STATUS, again=again)
        tally.add("scripted GPU: out of memory, illegal access, gone", counts)
