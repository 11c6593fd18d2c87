"""A GPU in bad condition, from the worker to the page: throttled, shared, late, capped; each told in its own words.

The real worker, journal, record and report, on a scripted GPU: `tests/faults/gpu.py`.
"""

from __future__ import annotations

import pytest

from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.devices.names import Detected
from harness.engine import manifest, runner
from harness.engine.folder import Run, read_run
from harness.record import FailedRecord, OkRecord
from reports import render
from tests.faults.conditions import MACHINES, OUTPUTS
from tests.faults.gpu import NAME, OUT_OF_MEMORY
from tests.faults.sweeps import HEAD, sweep

ROUNDS = 2
MEASURE = f"""
[measure]
probes = ["memory", "latency"]
rounds = {ROUNDS}
seconds_per_visit = 0.002
min_samples = 4
"""
SOUND = "sound"
VARIANTS = (SOUND, *MACHINES, *OUTPUTS, OUT_OF_MEMORY)
SLOWED = "were taken while the device was slowed down"
SHARED = "were taken while other processes computed on the GPU"


@pytest.fixture(autouse=True)
def _scripted_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runner, which has no torch, find the GPU that the worker has."""
    monkeypatch.setattr(runner, "detect", lambda kind: Detected(kind, NAME))
    monkeypatch.setattr(manifest, "memory_bytes", lambda kind: 80 << 30)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run with every condition in it, and its report."""
    folder = tmp_path_factory.mktemp("conditions") / "run"
    tables = [f'[[variant]]\nname = "{name}"\nlayer = "dense"\nbatch = 2' for name in VARIANTS]
    chosen = plan(parse_suite("\n".join([HEAD, *tables, MEASURE]), "conditions.toml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
        patch.setattr(runner, "detect", lambda kind: Detected(kind, NAME))
        patch.setattr(manifest, "memory_bytes", lambda kind: 80 << 30)
        assert sweep(folder, chosen, device_kind="cuda").status == "complete"
    render(folder, html=folder / "report.html")
    return read_run(folder)


def ok(run: Run, variant: str) -> OkRecord:
    (record,) = (record for record in run.records if record.variant == variant)
    assert isinstance(record, OkRecord), record.reason
    return record


def failed(run: Run, variant: str) -> FailedRecord:
    (record,) = (record for record in run.records if record.variant == variant)
    assert isinstance(record, FailedRecord)
    return record


def marks(record: OkRecord) -> dict[str, int]:
    """Return the marks that the GPU gave; this machine's own load is another matter."""
    return {mark: rounds for mark, rounds in record.marks.items() if mark in ("throttled", "shared_gpu", "hot")}


def page(run: Run) -> str:
    return (run.folder / "report.html").read_text("utf-8")


def summary(run: Run) -> str:
    return (run.folder / "summary.md").read_text("utf-8").replace("\\", "")


def test_a_sound_case_beside_them_is_not_marked(ran: Run) -> None:
    record = ok(ran, SOUND)
    assert not marks(record)
    assert record.metrics["latency_ms"].value == pytest.approx(0.5), "the kernel of half a millisecond"
    assert record.metrics["latency_hot_ms"].value == pytest.approx(0.5)


def test_throttling_in_the_midst_of_a_visit_is_marked_and_its_samples_are_kept(ran: Run) -> None:
    record = ok(ran, "gpu-throttles")
    assert marks(record) == {"throttled": ROUNDS}
    assert f"{ROUNDS} of {ROUNDS} rounds {SLOWED}" in record.notes
    lines = [line for line in ran.lines if line.key == record.key and line.probe == "latency"]
    assert len(lines) == ROUNDS
    for line in lines:
        assert line.before["throttled"] is False
        samples = line.values["latency_ms"]
        assert isinstance(samples, list)
        assert max(samples) == pytest.approx(1.0), "the throttled blocks were dropped"


def test_the_report_says_that_the_device_was_slowed_down(ran: Run) -> None:
    assert "taken while the device was slowed down" in page(ran)


def test_a_power_cap_is_no_throttling(ran: Run) -> None:
    record = ok(ran, "gpu-at-its-cap")
    assert not marks(record)
    lines = [line for line in ran.lines if line.key == record.key and line.probe == "latency"]
    assert {line.state["event_reasons"] for line in lines} == {"power cap"}


def test_another_process_on_the_gpu_is_marked_and_told(ran: Run) -> None:
    record = ok(ran, "gpu-shared")
    assert marks(record) == {"shared_gpu": ROUNDS}
    assert f"{ROUNDS} of {ROUNDS} rounds {SHARED}" in record.notes
    assert "taken while other processes computed on the GPU" in page(ran)


@pytest.mark.parametrize("variant", OUTPUTS)
def test_a_number_that_is_none_makes_the_case_incorrect(ran: Run, variant: str) -> None:
    record = failed(ran, variant)
    assert (record.status, record.end) == ("incorrect", "incorrect")
    assert record.reason == "the output holds NaN or infinity"
    assert not [line for line in ran.lines if line.key == record.key and line.probe == "latency"], "it was timed"
    assert f"- {record.id}: incorrect, {record.reason}" in summary(ran)
    assert record.reason in page(ran)


def test_out_of_memory_on_the_device_has_its_own_words(ran: Run) -> None:
    record = failed(ran, OUT_OF_MEMORY)
    assert (record.status, record.end) == ("oom", "oom_device")
    assert "out of memory on the device, in check: " in record.reason
    assert "Tried to allocate 80.00 GiB" in record.reason
    assert record.reason in summary(ran)
