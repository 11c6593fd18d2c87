"""A GPU in bad condition, from the worker to the page: throttled, shared, late, capped; each told in its own words.

The real worker, journal, record and report, on a scripted GPU: `tests/faults/gpu.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.devices.names import Detected
from harness.engine import manifest, runner
from harness.engine.folder import Run, read_run
from harness.record import OkRecord
from reports import render
from tests.faults.conditions import MACHINES, METERS, OUTPUTS
from tests.faults.gpu import NAME, OUT_OF_MEMORY
from tests.faults.sweeps import HEAD, failed, ok, sweep

ROUNDS = 2
MEASURE = f"""
[measure]
probes = ["memory", "latency"]
rounds = {ROUNDS}
seconds_per_visit = 0.002
min_samples = 15
"""
SOUND = "sound"
VARIANTS = (SOUND, *MACHINES, *OUTPUTS, OUT_OF_MEMORY)
SLOWED = "were taken while the device was slowed down"
SHARED = "were taken while other processes computed on the GPU"


def run_on_gpu(folder: Path, variants: Iterable[str], measure: str) -> Run:
    """Run one dense case of each name on the scripted GPU, write its report, and return it as read back."""
    tables = [f'[[variant]]\nname = "{name}"\nlayer = "dense"\nbatch = 2' for name in variants]
    chosen = plan(parse_suite("\n".join([HEAD, *tables, measure]), "conditions.toml"))
    with pytest.MonkeyPatch.context() as patch:  # the runner, which has no torch, finds the GPU that the worker has
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
        patch.setattr(runner, "detect", lambda kind: Detected(kind, NAME))
        patch.setattr(manifest, "memory_bytes", lambda kind: 80 << 30)
        assert sweep(folder, chosen, device_kind="cuda").status == "complete"
    render(folder, html=folder / "report.html")
    return read_run(folder)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run with every condition in it, and its report."""
    return run_on_gpu(tmp_path_factory.mktemp("conditions") / "run", VARIANTS, MEASURE)


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the energy probe on every meter, and its report."""
    return run_on_gpu(tmp_path_factory.mktemp("meters") / "run", (SOUND, *METERS), '[measure]\nprobes = ["energy"]')


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
    assert float(record.metrics["host_ms"].value) < 0.02, (
        "a kernel that the host does not wait for was taken for its own"
    )


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


def test_throttling_that_no_state_round_the_visit_shows_is_marked_by_its_blocks(ran: Run) -> None:
    record = ok(ran, "gpu-throttles-briefly")
    assert marks(record) == {"throttled": ROUNDS}
    for line in (line for line in ran.lines if line.key == record.key and line.probe == "latency"):
        assert (line.before["throttled"], line.state["throttled"]) == (False, False)
        assert {0.0, 1.0} == set(line.series["block_throttled"])
        assert len(line.series["block_throttled"]) == len(line.series["block_clock_mhz"])


def test_work_left_on_a_side_stream_makes_the_case_incorrect(ran: Run) -> None:
    record = failed(ran, "gpu-late-kernel")
    assert (record.status, record.end) == ("incorrect", "incorrect")
    assert record.reason.startswith("work on another stream was not timed: after the end of ")
    assert record.reason in page(ran)
    assert record.reason in summary(ran)


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


def test_a_counter_of_100_ms_gives_the_energy_of_the_kernels(metered: Run) -> None:
    """20 ms at 600 W are 12 J for the 16 tokens of a pass; at 80 W of rest, 10.4 of them are net."""
    metrics = ok(metered, SOUND).metrics
    tokens = 2 * 8
    assert metrics["energy_j_per_mtoken"].value == pytest.approx(12e6 / tokens, rel=0.02)
    assert metrics["energy_net_j_per_mtoken"].value == pytest.approx(10.4e6 / tokens, rel=0.02)
    assert metrics["power_w"].value == pytest.approx(600, rel=0.02)
    assert metrics["power_idle_w"].value == pytest.approx(80, rel=0.02)
    (line,) = (line for line in metered.lines if line.probe == "energy" and line.id.startswith(SOUND))
    assert min(line.series["energy_windows_s"]) >= 10
    assert line.series["energy_counter_s"] == pytest.approx([0.1], rel=0.02)
    assert line.seconds < 10, "the windows were waited for on a real clock"


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("gpu-without-counter", "energy is not measured: this GPU has no total energy counter"),
        ("gpu-with-still-counter", "energy is not measured: its counter did not move in 5 s at rest"),
        ("gpu-with-wrong-counter", "energy is not measured: its counter says 40 W at rest and its power sensor 80 W"),
    ],
)
def test_a_counter_that_cannot_be_believed_is_told_and_gives_no_number(metered: Run, variant: str, words: str) -> None:
    record = ok(metered, variant)
    assert not [name for name in record.metrics if name.startswith(("energy", "power"))]
    assert [note for note in record.notes if note.startswith(words)], record.notes
    assert words in page(metered)
