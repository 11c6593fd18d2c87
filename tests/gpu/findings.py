"""Findings: what the session's records say, each beside what was expected of it; pure but for reading the folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.devices.names import Detected
from harness.engine.folder import Run, read_run
from harness.engine.journal import RunFolderError
from harness.metrics import METRICS
from harness.record import OkRecord
from tests.gpu.leads import WITHIN, lead_of
from tests.gpu.steps import Ended

DOCTOR = "doctor.json"
RUNS = ("sweep", "energy", "determinism")
NOISE = 0.005
"""The smallest change that an A/A run on a GPU is expected to see, for kernels of 50 us and more."""
PREDICTED = 0.02
"""How far the allocator's peak may lie from the closed form."""
AXES = tuple(name.removesuffix("_cause") for name in METRICS if name.startswith("det_") and name.endswith("_cause"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure, and what was expected."""

    what: str
    seen: str
    expected: str
    holds: bool | None = None
    """Whether it is as expected; None where nothing is, and it is only told."""


@dataclass(slots=True)
class Gathered:
    """All that the summary says."""

    device: Detected
    seconds: float
    ended: list[Ended]
    doctor: dict[str, Any] = field(default_factory=dict)
    """What `harness doctor --json` printed; empty where it did not."""
    runs: dict[str, Run] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)
    """Tests by how they ended."""
    findings: list[Finding] = field(default_factory=list)


def gather(folder: Path, device: Detected, ended: Sequence[Ended], seconds: float) -> Gathered:
    """Return what stands in the session's folder, however much of it there is."""
    found = Gathered(device, seconds, list(ended))
    with suppress(OSError, ValueError):
        found.doctor = json.loads((folder / DOCTOR).read_text("utf-8"))
    for name in RUNS:
        with suppress(RunFolderError):
            found.runs[name] = read_run(folder / name)
    with suppress(OSError, ElementTree.ParseError):
        found.tests = _tests(folder / "tests.xml")
    found.findings = [*_ceilings(found), *_noise(found), *_tested(found), *_swept(found), *_energy(found)]
    return found


def _tests(path: Path) -> dict[str, int]:
    """Return how many tests of a JUnit file passed, failed and were skipped."""
    suites = ElementTree.parse(path).getroot().iter("testsuite")
    counts: Counter[str] = Counter()
    for suite in suites:
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        counts += Counter(failed=bad, skipped=skipped, passed=int(suite.get("tests", 0)) - bad - skipped)
    return dict(counts)


def _ceilings(found: Gathered) -> Iterator[Finding]:
    """Yield each ceiling beside its lead and the share that it is of the datasheet, where these are known."""
    ceilings, lead = found.doctor.get("ceilings"), lead_of(found.device.name)
    if not ceilings:
        return
    sheet = found.doctor.get("datasheet") or {"flops_per_s": {}, "bytes_per_s": None}
    for dtype, rate in ceilings["flops_per_s"].items():
        known = lead.matmul if lead is not None and dtype == "bfloat16" else None
        yield _ceiling(f"matmul, {dtype}, TFLOP/s", rate, sheet["flops_per_s"].get(dtype), known)
    known = (lead.copy, lead.copy) if lead is not None else None
    yield _ceiling("copy, TB/s", ceilings["bytes_per_s"], sheet["bytes_per_s"], known)
    l2 = next((run.document["device"].get("l2_bytes") for run in found.runs.values()), None)
    if lead is not None and l2:
        holds = abs(l2 / lead.l2 - 1) <= WITHIN
        yield Finding("L2 cache, MiB", f"{l2 / 2**20:.0f}", f"{lead.l2 / 2**20:.0f}", holds)


def _ceiling(what: str, rate: float, sheet: float | None, lead: tuple[float, float] | None) -> Finding:
    """Return one rate in units of 1e12: as expected where it is near its lead, if it has one, and below the sheet."""
    seen = f"{rate / 1e12:.4g}" + (f" ({rate / sheet:.0%} of the datasheet)" if sheet else "")
    expected, holds = [], [] if sheet is None else [rate <= sheet]
    if lead is not None:
        low, high = lead
        expected.append(f"{low / 1e12:.4g}" if low == high else f"{low / 1e12:.4g} to {high / 1e12:.4g}")
        holds.append(low * (1 - WITHIN) <= rate <= high * (1 + WITHIN))
    expected += [f"datasheet {sheet / 1e12:.4g}"] if sheet else []
    return Finding(what, seen, "; ".join(expected), all(holds) if holds else None)


def _noise(found: Gathered) -> Iterator[Finding]:
    """Yield what A/A cells showed: those of doctor in 80 pairs on end, those of the sweep over its rounds."""
    if floor := found.doctor.get("noise"):
        yield Finding(f"A/A, doctor, {floor['pairs']} pairs", _interval(floor), "1 inside", _holds_one(floor))
        change = floor["smallest_change"]
        expected = f"at most {NOISE:.1%}" if found.device.kind == "cuda" else ""
        yield Finding("smallest change seen, doctor", _share(change), expected, change <= NOISE if expected else None)
    sweep = found.runs.get("sweep")
    if sweep is not None and (floor := sweep.document.get("noise")):
        what = f"A/A, sweep, {floor['cells']} cells, {floor['pairs']} pairs"
        yield Finding(what, _interval(floor), "the cells do not differ", not floor["differ"])
        if (change := floor["smallest_change"]) is not None:
            yield Finding(f"smallest change seen, sweep, {floor['rounds']} rounds", _share(change), "")


def _share(change: float) -> str:
    return f"{change:.2%}" if change < 1 else "> 100%"


def _interval(floor: dict[str, Any]) -> str:
    return f"{floor['ratio']:.4f} [{floor['low']:.4f}, {floor['high']:.4f}]"


def _holds_one(floor: dict[str, Any]) -> bool:
    return bool(floor["low"] <= 1 <= floor["high"])


def _tested(found: Gathered) -> Iterator[Finding]:
    if found.tests:
        counts = ", ".join(f"{number} {word}" for word, number in found.tests.items() if number)
        holds = not found.tests.get("failed") and found.tests.get("passed", 0) > 0
        expected = "some, and none failed" if found.device.kind == "cuda" else ""
        yield Finding("tests that need CUDA", counts or "none", expected, holds if expected else None)


def _swept(found: Gathered) -> Iterator[Finding]:
    for name, run in found.runs.items():
        right = sum(record.status == "ok" for record in run.records)
        yield Finding(f"cases with numbers, {name}", f"{right} of {len(run.records)}", "all", right == len(run.records))
    if sweep := found.runs.get("sweep"):
        records = [record for record in sweep.records if isinstance(record, OkRecord)]
        yield from _shares(records, on_gpu=found.device.kind == "cuda")
        yield from _states(sweep)


def _shares(records: Sequence[OkRecord], *, on_gpu: bool) -> Iterator[Finding]:
    """Yield what must hold in every case, with the case that comes closest to not holding."""
    if used := _values(records, "hfu"):
        yield Finding("highest HFU", f"{max(used):.3f}", "at most 1", max(used) <= 1)
    if over := _ratios(records, "memory_peak_bytes", "memory_predicted_bytes"):
        worst, expected = max(over, key=lambda ratio: abs(ratio - 1)), f"1 ± {PREDICTED}" if on_gpu else ""
        holds = abs(worst - 1) <= PREDICTED if expected else None
        yield Finding("memory: peak over closed form, farthest", f"{worst:.3f}", expected, holds)
    if slower := _ratios(records, "latency_graph_ms", "latency_hot_ms"):
        yield Finding("graph over hot time, highest", f"{max(slower):.3f}", "at most 1.02", max(slower) <= 1.02)
    if bound := _ratios(records, "host_ms", "latency_ms"):
        waiting = sum(ratio > 1 for ratio in bound)
        yield Finding("cases in which the host takes longer than the device", f"{waiting} of {len(bound)}", "")
    if same := _values(records, "det_run"):
        equal = sum(share == 1 for share in same)
        yield Finding("cases that are bit-equal from run to run", f"{equal} of {len(same)}", "")


def _states(run: Run) -> Iterator[Finding]:
    """Yield what NVML said round the visits; a power cap is normal at full load, and drops nothing."""
    lines = [line for line in run.lines if line.state.get("event_reasons") is not None]
    if not lines:
        return
    capped = sum("power cap" in str(line.state["event_reasons"]) for line in lines)
    yield Finding("visits under the power cap", f"{capped} of {len(lines)}", "")
    slowed = sum("throttled" in line.marks for line in lines)
    yield Finding("visits while the device was slowed down", f"{slowed} of {len(lines)}", "0", slowed == 0)
    shared = sum("shared_gpu" in line.marks for line in lines)
    yield Finding("visits with others on the GPU", f"{shared} of {len(lines)}", "0", shared == 0)


def _energy(found: Gathered) -> Iterator[Finding]:
    run = found.runs.get("energy")
    records = [record for record in run.records if isinstance(record, OkRecord)] if run else []
    for record in records:
        taken, power, idle = (
            _values([record], name) for name in ("energy_j_per_mtoken", "power_w", "power_idle_w")
        )  # each a number, or none
        if not taken:
            why = next((note for note in record.notes if "energy" in note), "no note says why")
            expected = "a number" if found.device.kind == "cuda" else ""
            yield Finding(f"energy, {record.variant}", why, expected, False if expected else None)
            continue
        watts = "".join(
            f", {found[0]:.0f} W {when}" for found, when in ((power, "at work"), (idle, "at rest")) if found
        )
        holds = taken[0] > 0 and (not power or not idle or power[0] > idle[0])
        seen = f"{taken[0]:.3g} J per million tokens{watts}"
        yield Finding(f"energy, {record.variant}", seen, "above 0; more at work than at rest", holds)


def causes(run: Run) -> dict[str, dict[str, int]]:
    """Return by axis of determinism how many cases have each cause, finer words behind it where there are some."""
    found: dict[str, Counter[str]] = {axis: Counter() for axis in AXES}
    for record in run.records:
        for axis in AXES if isinstance(record, OkRecord) else ():
            values = record.metrics or {}
            if cause := values.get(f"{axis}_cause"):
                detail = values.get(f"{axis}_detail")
                finer = f" ({detail.value})" if detail and detail.value not in ("none", cause.value) else ""
                found[axis][f"{cause.value}{finer}"] += 1
    return {axis: dict(counts) for axis, counts in found.items() if counts}


def _values(records: Sequence[OkRecord], name: str) -> list[float]:
    return [float(record.metrics[name].value) for record in records if name in record.metrics]


def _ratios(records: Sequence[OkRecord], over: str, under: str) -> list[float]:
    both = [record.metrics for record in records if over in record.metrics and under in record.metrics]
    return [float(metrics[over].value) / float(metrics[under].value) for metrics in both if metrics[under].value]
