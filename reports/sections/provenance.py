"""Provenance: what machine, what software, what commit, and the command that repeats it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.declare.roofs import Roofs
from harness.metrics import show_bytes, show_percent, show_scaled, show_spread
from reports.context import Context
from reports.results import Run
from reports.run_file import RunFile, Station
from reports.sections.base import Section
from reports.words import capital, count, join, sentence


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact and its lines; `code` where it is an id or a command."""

    name: str
    lines: tuple[str, ...]
    code: bool = False


@dataclass(frozen=True, kw_only=True)
class Provenance(Section):
    """The section's data."""

    id: str = "provenance"
    name: str = "Provenance"
    question: str = "How can this be repeated?"

    command: str
    facts: tuple[Fact, ...]
    source: str
    """The suite's TOML."""


PACKAGES = ("python", "torch", "triton", "numpy", "scipy", "pandas", "pydantic", "nvidia-ml-py", "psutil")
"""Facts of the environment that are versions, told in one."""
_ACRONYMS = {"os": "OS", "cpu": "CPU", "isa": "ISA", "mkl": "MKL", "onednn": "oneDNN", "openmp": "OpenMP", "gpu": "GPU",
             "sm": "SM", "uuid": "UUID", "ecc": "ECC", "cuda": "CUDA", "smt": "SMT",
             "aslr": "ASLR", "numa": "NUMA", "nvml": "NVML", "pcie": "PCIe", "nvlink": "NVLink"}  # fmt: skip


def build(context: Context) -> Provenance:
    """Return everything that is known of how the run came to be."""
    run = context.run
    device = str(run.file.device.get("name") or run.file.device.get("kind") or "an unknown device")
    took = f", {duration(run.seconds)} of visits" if run.seconds else ""
    return Provenance(
        finding=sentence(f"One command repeats the run{took}, on {device}."),
        command=run.file.command,
        facts=_facts(run),
        source=run.file.suite.source,
    )


def first_facts(context: Context) -> tuple[Fact, ...]:
    """Return the provenance of the first screen: run, device, software, when."""
    run = context.run
    env = flatten(run.file.environment)
    device = run.file.device
    formats = sorted({result.case.dtype for result in context.results})
    torch = env.get("packages.torch") or env.get("torch") or device.get("torch")
    python = env.get("python")
    rounds, precision = run.file.suite.measure.get("rounds"), run.file.suite.measure.get("precision")
    measured = [
        f"{duration(run.seconds)} of visits" if run.seconds else "",
        f"{count(int(rounds), 'round')} a case{' or more' if precision else ''}" if rounds and context.timed else "",
        "" if run.file.finished else "not finished",
    ]
    return (
        Fact("Suite", _lines(run.file.suite.name, ", ".join(run.file.suite.overrides), _commit(run))),
        Fact("Device", _lines(str(device.get("name") or device.get("kind") or "unknown"),
                              ", ".join([*formats, *_threads(device)]))),
        Fact("Software", _lines(*(f"{n} {v}" for n, v in (("torch", torch), ("Python", python)) if v))),
        Fact("Measured", _lines(_from_to(run.file.started, run.file.finished), ", ".join(_lines(*measured)),
                                _floor(context))),
    )  # fmt: skip


def _floor(context: Context) -> str:
    """Return how small a change the run could tell: a reader is to know before the first ratio."""
    if not context.timed or context.distrusted:  # of a run that is not to be trusted the page says so above all
        return ""
    return f"noise floor {show_spread(context.floor)}" if context.floor else "noise floor not known"


def _from_to(started: str, finished: str | None) -> str:
    """Return when a run began and, if on another day, when it ended: a run may be resumed days later."""
    first, last = when(started), when(finished or started)
    return first if first.split(",")[0] == last.split(",")[0] else f"{first} to {last}"


def when(iso: str, clock: str = "%H:%M") -> str:
    """Return `21 Nov 2026, 02:14 UTC`; the text itself where it is no ISO time."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.month - 1]
    zone = "UTC" if moment.utcoffset() is None or not moment.utcoffset() else moment.strftime("%z")
    return f"{moment.day} {month} {moment.year}, {moment:{clock}} {zone}"


def duration(seconds: float) -> str:
    """Return seconds in words: `41 seconds`, `2 min 3 s`, `1 h 40 min`."""
    if seconds < 100:
        return count(round(seconds), "second")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10 and rest:
        return f"{minutes} min {rest} s"
    return count(round(seconds / 60), "minute") if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested facts as one level, `packages.torch`; what is None or empty is left out."""
    out: dict[str, str] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            out |= flatten(value, f"{name}.")
        elif value is not None and value != "" and value != []:
            out[name] = _text(name, value)
    return out


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and name.endswith("bytes"):
        return show_bytes(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)


def _lines(*parts: str | None) -> tuple[str, ...]:
    return tuple(part for part in parts if part)


def _commit(run: Run) -> str:
    harness = run.file.harness
    commit = harness.commit[:7] if harness.commit else None
    changed = " with changes" if harness.dirty else ""
    return f"harness {harness.version}" + (f", {commit}{changed}" if commit else "")


def _threads(device: Mapping[str, Any]) -> list[str]:
    threads = device.get("threads")
    return [count(int(threads), "thread")] if isinstance(threads, int) else []


def _station(station: Station) -> str:
    """Return which of a run's devices it is: `cpu:0, core 0`, or `10.0.0.4/cuda:1 on node-4`."""
    where = f" on {station.hostname}" if station.hostname else ""
    several = "s" if station.cores and "," in station.cores else ""
    return f"{station.name}{where}" + (f", core{several} {station.cores}" if station.cores else "")


def _facts(run: Run) -> tuple[Fact, ...]:
    file, harness = run.file, run.file.harness
    facts = [
        Fact("Run", _lines(run.name), code=True),
        Fact("Status", _lines(None if file.status == "complete" else file.status)),
        Fact("Suite", _lines(file.suite.name, f"--select {file.suite.select}" if file.suite.select else None)),
        Fact("Harness", _lines(_commit(run), f"source {harness.source}" if harness.source else None)),
        Fact("Seed", _lines(None if file.seed is None else str(file.seed))),
        Fact(
            "Started, ended", _lines(when(file.started, "%H:%M:%S"), when(file.finished or "not finished", "%H:%M:%S"))
        ),
        Fact("Measured", _lines(join(f"{k} {v}" for k, v in flatten(_asked(file.suite.measure)).items()))),
        Fact("Devices", tuple(map(_station, file.devices))),
        Fact("Ceilings", _ceilings(file.roofs)),
        Fact("Datasheet", _datasheet(file)),
    ]
    device, environment = flatten(with_short_build(file.device)), flatten(file.environment)
    facts += _group("Device", _unsaid(_unsaid(device, device, {"class": "name"}), environment, {"torch": "torch"}))
    if environment.get("commit") == harness.commit:
        environment.pop("dirty", None)  # the harness's line says it
    environment = _unsaid(environment, device, {"cpu": "name", "memory_bytes": "memory_bytes"})
    packages = join(f"{name} {environment.pop(name)}" for name in PACKAGES if name in environment)
    facts.append(Fact("Software", _lines(packages)))
    facts += _group("", environment)
    return tuple(fact for fact in facts if fact.lines)


def _asked(measure: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the suite says of measuring, without the length of a probe that it does not ask for."""
    probes = measure.get("probes") or ()
    return {name: value for name, value in measure.items() if name != "energy_seconds" or "energy" in probes}


def _unsaid(facts: Mapping[str, str], told: Mapping[str, str], pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the facts without those of `pairs` that repeat what `told` has under their other name."""
    return {name: value for name, value in facts.items() if name not in pairs or told.get(pairs[name]) != value}


def with_short_build(device: Mapping[str, Any]) -> dict[str, Any]:
    """Return the device with torch's compiler and libraries alone: flags and asides take a page; run.json has them."""
    libraries, flags, _ = str(device.get("torch_build") or "").partition("; Build settings:")
    libraries = re.sub(r" \([^()]*\)|; (?:\w+ is enabled|CPU capability usage: \w+)", "", libraries)
    return {**device, "torch_build": f"{libraries}; flags in run.json" if flags else libraries}


def _group(title: str, facts: Mapping[str, str]) -> list[Fact]:
    out: dict[str, list[tuple[str, str]]] = {}
    for name, value in facts.items():
        head, _, rest = name.rpartition(".")
        out.setdefault(head, []).append((rest, value))
    found: list[Fact] = []
    for head, items in out.items():
        if head:
            found.append(Fact(fact_title(f"{title} {head}"), tuple(f"{name} {value}" for name, value in items)))
        else:
            found += [Fact(fact_title(f"{title} {name}"), (value,)) for name, value in items]
    return found


def fact_title(name: str) -> str:
    """Return what a fact is called: `memory_bytes` is `Memory`, `device.isa` is `Device, ISA`."""
    words = name.replace("_bytes", "").replace("_1min", ", 1 min").replace("_", " ").replace(".", ", ").split()
    known = [_ACRONYMS.get(word, word) for word in words]
    return capital(" ".join(known))


def _ceilings(roofs: Roofs | None) -> tuple[str, ...]:
    if roofs is None:
        return ()
    out = [f"{show_scaled(rate, 'FLOP/s')} in {dtype}" for dtype, rate in roofs.flops_per_s.items()]
    return (*out, f"{show_scaled(roofs.bytes_per_s, 'B/s')} copied")


def _datasheet(file: RunFile) -> tuple[str, ...]:
    """Return the dense peaks that the device's datasheet promises, beside what was measured; or that none is kept."""
    sheet, roofs = file.datasheet, file.roofs
    if sheet is None:
        return ("none is kept for this device: only measured ceilings stand here",) if roofs else ()
    rates = roofs.flops_per_s if roofs else {}
    peaks = sheet.flops_per_s.items()
    out = [f"{show_scaled(peak, 'FLOP/s')} in {dtype}, dense{_share(rates.get(dtype), peak)}" for dtype, peak in peaks]
    memory = sheet.bytes_per_s
    out.append(f"{show_scaled(memory, 'B/s')} of memory{_share(roofs.bytes_per_s if roofs else None, memory)}")
    return (*out, f"{sheet.source}, read {sheet.read}")


def _share(measured: float | None, peak: float) -> str:
    if not measured:
        return ""
    above = "; above the datasheet: a clock that errs, a wrong entry, or another device" if measured > peak else ""
    return f", {show_percent(measured / peak)} of it measured{above}"
