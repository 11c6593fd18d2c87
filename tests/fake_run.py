"""Test data: a run folder with invented, seeded numbers. Nothing here is a measurement, and no report ships it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.case import Case
from harness.declare.costs import Cost, cost, resolve_backend
from harness.declare.match import matched
from harness.declare.planned import PlannedCase
from harness.devices.ceilings import Ceilings
from harness.engine.rooflines import rooflines
from harness.record import FailedRecord, OkRecord, Value, write_record

ROUNDS = 5
CEILINGS = Ceilings("Test CPU (invented)", {"float32": 1.2e11}, 2.1e10, 8 << 30, "2026-11-21", "2.13.0")
CACHE_BYTES = 4 << 20
SIZES = {"Ti": (192, 768, 3), "S": (384, 1536, 6), "B": (768, 3072, 12)}
DETERMINISM = ("run", "batch_size", "position", "composition")
MATCHED = (("dense-1", "top-1"), ("dense-2", "top-2"), ("dense", "soft"), ("dense", "top-2"))
"""A dense variant and the one whose FLOPs it shares; of two that a run has, the later."""
Edit = Callable[[Case, dict[str, Any]], dict[str, Any] | None]
"""Takes a case and its record as a dict; returns another record, or None for a case without one."""


def make_case(variant: str, layer: str, **axes: Any) -> Case:
    """Return a case with the suite's defaults."""
    size = axes.pop("size", "S")
    d_model, d_ff, heads = SIZES[size]
    extra: dict[str, Any] = {"routing": "learned"} if layer != "dense" else {}
    if layer == "token_choice":
        extra |= {"group": "batch", "top_k": 2, "shared_experts": 0}
    if layer == "expert_choice":
        extra |= {"group": "batch", "capacity_factor": 1.0}
    if layer == "soft":
        extra |= {"slots": 1}
    base: dict[str, Any] = {"size": size, "d_model": d_model, "d_ff": d_ff, "heads": heads, "batch": 8, "tokens": 196}
    base |= {"dtype": "float32", "pass_": "forward", "backend": "best", "activation": "gelu", "gated": False}
    return Case(variant=variant, layer=layer, **(base | extra | axes))


def quick_cases() -> list[Case]:
    """Return cases like those of the suite `quick`: four families, two sizes, batch 1 and 8, two passes."""
    settings = [
        {"size": size, "batch": batch, "pass_": pass_, "tokens": 64}
        for size in ("Ti", "S")
        for batch in (1, 8)
        for pass_ in ("forward", "forward_backward")
    ]
    cases: list[Case] = []
    for s in settings:
        for experts in (8, 32):
            for top_k in (1, 2):
                name, axes = f"top-{top_k}", {"experts": experts, "top_k": top_k} | s
                cases += [make_case(name, "token_choice", capacity_factor=factor, **axes) for factor in (1.25, None)]
            cases.append(make_case("expert-choice", "expert_choice", experts=experts, **s))
            cases += [make_case("soft", "soft", experts=experts, slots=slots, **s) for slots in (1, 2)]
        dense = make_case("dense-1", "dense", **s)
        cases += [dense, replace(dense, variant="dense-2", d_ff=2 * dense.d_ff)]
    return cases


def sweep_cases(axis: str = "experts", values: Iterable[int] = (4, 8, 16, 32, 64)) -> list[Case]:
    """Return cases of a suite that sweeps one axis, like the shipped suites `experts`, `top-k`, `slots`, `batch`."""
    cases: list[Case] = []
    for value in values:
        routed = {} if axis == "slots" else {axis: value}
        cases.append(make_case("top-2", "token_choice", **({"experts": 16} | routed)))
        if axis != "top_k":
            cases.append(make_case("soft", "soft", **({"experts": 16, "slots": 4} | {axis: value})))
    sparse = [case for case in cases if case.layer == "token_choice"]
    cases += {dense: None for case in sparse
              for dense in matched(make_case("dense", "dense", batch=case.batch), [case], "flops")}  # fmt: skip
    return cases


def write_run(folder: Path, cases: list[Case], *, edit: Edit | None = None, **top: Any) -> Path:
    """Write a run of `cases` to `folder` and return it; `top` replaces keys of run.json, `edit` changes records."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = list({case.key: case for case in cases}.values())
    draw = random.Random(0)
    lines = []
    for case in cases:
        record: dict[str, Any] | None = ok_record(case, draw)
        if edit is not None:
            record = edit(case, record or {})
        if record is not None:
            kind = OkRecord if record["status"] == "ok" else FailedRecord
            lines.append(write_record(kind.model_validate(record)))
    (folder / "records.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    (folder / "run.json").write_text(json.dumps(run_file(cases) | top, indent=1), "utf-8")
    return folder


def fail(record: dict[str, Any], status: str, reason: str) -> dict[str, Any]:
    """Return `record` as one of a failed case."""
    kept = {name: value for name, value in record.items() if name != "series"}
    return kept | {"status": status, "reason": reason, "metrics": None}


def without(record: dict[str, Any], *prefixes: str) -> dict[str, Any]:
    """Return `record` less the metrics whose names begin with one of `prefixes`."""
    kept = {name: value for name, value in record["metrics"].items() if not name.startswith(prefixes)}
    return record | {"metrics": kept}


def ok_record(case: Case, draw: random.Random) -> dict[str, Any]:
    """Return a record with invented but plausible numbers."""
    price = cost(case)
    metrics = _latency(case, price, draw) | _memory(case, price, draw) | _determinism(case, draw)
    for name in ("params", "params_active", "flops_model", "flops_executed"):
        metrics[name] = Value(value=getattr(price, name))
    metrics["flops_counted"] = Value(value=price.flops_executed)
    dropped = 0.03 if case.capacity_factor and case.layer == "token_choice" else 0.0
    metrics["flops_routed"] = Value(value=round(price.flops_model * (1 - dropped)))
    metrics["padding_efficiency"] = Value(value=price.flops_model * (1 - dropped) / price.flops_executed)
    metrics |= _routing(case, draw) | _phases(case, draw)
    roofs = rooflines(PlannedCase(case, price, None, None, None, None), metrics, CEILINGS, CACHE_BYTES)
    joules, series = _energy(case, metrics["latency_ms"], draw)
    metrics |= roofs.metrics | joules
    return {
        "schema": 1,
        "key": case.key,
        "id": case.id,
        "variant": case.variant,
        "case": case.as_dict(),
        "backend": resolve_backend(case),
        "status": "ok",
        "notes": ["[test data] the rounds of this case were unsteady"] if draw.random() < 0.05 else [],
        "metrics": {name: asdict(value) for name, value in metrics.items()},
        "series": roofs.series | series | _series(case),
    }


def run_file(cases: list[Case]) -> dict[str, Any]:
    """Return run.json for `cases`."""
    layers = {case.variant: case.layer for case in cases}
    match = {name: {"to": to, "on": "flops"} for name, to in MATCHED if to in layers}
    headline = ["top-1 / dense-1", "soft / dense-1", "memory", "determinism"] if "dense-1" in layers else []
    return {
        "schema": 1,
        "suite": {
            "name": "quick",
            "title": "Dense, sparse and Soft MoE at equal active FLOPs",
            "source": '# test data\ntitle = "Dense, sparse and Soft MoE at equal active FLOPs"\n',
            "overrides": [],
            "select": None,
            "variants": [{"name": n, "layer": kind, "match": match.get(n)} for n, kind in layers.items()],
            "axes": {},
            "headline": headline,
            "measure": {"probes": ["flops", "latency", "memory", "determinism"], "rounds": ROUNDS, "seed": 0},
        },
        "cases": [_planned(case, match.get(case.variant)) for case in cases],
        "device": {"kind": "cpu", "name": "Test CPU (invented)", "cores": 2, "threads": 2, "memory_bytes": 8 << 30},
        "environment": {"python": "3.11.9", "packages": {"torch": "2.13.0+cpu"}, "os": "Linux 6.8", "hostname": "test"},
        "ceilings": asdict(CEILINGS),
        "harness": {"version": "0.1.0", "commit": "9f3c1ab41d07e2aa", "dirty": False, "source": "a81c77b19d0e"},
        "command": "harness run quick --device cpu",
        "seed": 0,
        "started": "2026-11-21T02:14:02+00:00",
        "finished": "2026-11-21T02:16:31+00:00",
        "status": "complete",
    }


def _planned(case: Case, match: dict[str, Any] | None) -> dict[str, Any]:
    price = cost(case)
    return {
        "id": case.id,
        "key": case.key,
        "variant": case.variant,
        "case": case.as_dict(),
        "params": price.params,
        "params_active": price.params_active,
        "flops_model": price.flops_model,
        "flops_executed": price.flops_executed,
        "bytes": price.bytes,
        "seconds": 0.1,
        "fits": True,
        "unsupported": None,
        "match": (match | {"ratio": 1.002}) if match else None,
    }


def _latency(case: Case, price: Cost, draw: random.Random) -> dict[str, Value]:
    overhead = {"dense": 0.01, "token_choice": 0.25, "expert_choice": 0.18, "soft": 0.06}[case.layer]
    rate = {"dense": 1.0, "token_choice": 0.62, "expert_choice": 0.74, "soft": 0.81}[case.layer] * 1.1e8
    ms = overhead + price.flops_executed / rate / (1 if case.batch > 1 else 1.3) + price.bytes / 2.1e7
    ms *= 1 + 0.02 * math.log2(case.experts or 1)
    rounds: list[float | None] = [ms * draw.gauss(1, 0.012) for _ in range(ROUNDS)]
    known = sorted(value for value in rounds if value is not None)
    middle = known[ROUNDS // 2]
    latency = Value(value=middle, low=known[0], high=known[-1], n=60, rounds=rounds)
    return {"latency_ms": latency, "tokens_per_s": Value(value=case.sequence_tokens / middle * 1e3)}


def _memory(case: Case, price: Cost, draw: random.Random) -> dict[str, Value]:
    fake = int(price.memory_predicted * draw.gauss(1.01, 0.01))
    saved = (price.memory_saved or 0) * 3 // 4
    gradients = (fake - saved) // 2 if case.trains else 0
    x = case.sequence_tokens * case.d_model * case.itemsize
    out = {
        "memory_weights_bytes": price.weight_bytes,
        "memory_inputs_bytes": 2 * x if case.trains else x,
        "memory_peak_bytes": fake + 4096,
        "memory_predicted_bytes": price.memory_predicted,
        "memory_fake_bytes": fake,
        "memory_saved_at_peak_bytes": saved,
        "memory_gradients_bytes": gradients,
        "memory_temporaries_bytes": fake - saved - gradients,
        "memory_workspace_bytes": 4096,
    }
    if case.pass_ == "train":
        out["memory_optimizer_bytes"] = 2 * price.weight_bytes
    if price.memory_saved is not None:
        out["memory_saved_bytes"] = price.memory_saved
    moment = Value(value="backward" if case.trains else "experts")
    return {name: Value(value=number) for name, number in out.items()} | {"memory_peak_moment": moment}


def _determinism(case: Case, draw: random.Random) -> dict[str, Value]:
    out: dict[str, Value] = {}
    for axis in DETERMINISM:
        share, worst, cause = 1.0, 0.0, "none"
        coupled = case.layer == "expert_choice" or (case.layer == "token_choice" and case.capacity_factor)
        if axis == "batch_size":
            share, worst, cause = 0.4 + 0.3 * draw.random(), 2.5, "rounding"
        if coupled and axis in ("batch_size", "composition"):
            share, worst = 0.6 + 0.2 * draw.random(), 9.1e6
            cause = "coupling" if case.layer == "expert_choice" else "drop"
        out[f"det_{axis}"] = Value(value=share, n=64)
        out[f"det_{axis}_max_rel"] = Value(value=worst)
        out[f"det_{axis}_cause"] = Value(value=cause)
    return out


def _routing(case: Case, draw: random.Random) -> dict[str, Value]:
    if case.layer not in ("token_choice", "expert_choice"):
        return {}
    spread = 0.0 if case.layer == "expert_choice" else 0.3 + 0.1 * draw.random()
    return {
        "load_cv": Value(value=spread),
        "load_max_over_mean": Value(value=1 + 2 * spread),
        "drop_rate": Value(value=0.03 if case.capacity_factor and case.layer == "token_choice" else 0.0),
        "distinct_experts": Value(value=case.experts or 0),
        "router_entropy": Value(value=0.9 * math.log(case.experts or 1)),
    }


def _series(case: Case) -> dict[str, list[float]]:
    if case.layer != "token_choice" or not case.experts:
        return {}
    even = case.sequence_tokens * (case.top_k or 1) / case.experts
    load = [even * (1.5 - n / max(1, case.experts - 1)) for n in range(case.experts)]
    random = [1.2 - 0.4 * n / max(1, case.experts - 1) for n in range(case.experts)]
    return {"expert_load": load, "expert_load_null": random, "load_max_over_mean_null": [1.1, 1.2, 1.4]}


def _phases(case: Case, draw: random.Random) -> dict[str, Value]:
    shares = {
        "dense": (0.0, 0.0, 0.98, 0.0),
        "token_choice": (0.03, 0.1, 0.7, 0.13),
        "expert_choice": (0.05, 0.08, 0.72, 0.1),
        "soft": (0.05, 0.05, 0.84, 0.05),
    }[case.layer]
    out = {"phase_overhead": Value(value=draw.uniform(1.02, 1.3))} | _split("share", shares, draw)
    if not case.trains:
        return out
    parts = {"pass_forward_share": Value(value=0.36), "pass_backward_share": Value(value=0.64)}
    return out | parts | _split("backward_share", shares, draw)


def _split(suffix: str, shares: tuple[float, ...], draw: random.Random) -> dict[str, Value]:
    jitter = [share * draw.gauss(1, 0.03) for share in shares]
    names = ("router", "dispatch", "experts", "combine")
    out = {f"phase_{name}_{suffix}": Value(value=share) for name, share in zip(names, jitter, strict=True)}
    return out | {f"phase_other_{suffix}": Value(value=1 - sum(jitter))}


def _energy(case: Case, latency: Value, draw: random.Random) -> tuple[dict[str, Value], dict[str, list[float]]]:
    """A device of 20 W at rest and about 60 W at work."""
    watts, idle = 60 * draw.gauss(1, 0.05), 20.0
    gross = watts * float(latency.value) * 1e-3 / case.sequence_tokens * 1e6
    values = {"energy_j_per_mtoken": gross, "energy_net_j_per_mtoken": gross * (1 - idle / watts)}
    values |= {"power_w": watts, "power_idle_w": idle}
    series = {"energy_windows_j_per_mtoken": [gross, 1.01 * gross, 0.99 * gross], "energy_temperature_c": [41.0, 63.0]}
    return {name: Value(value=value, n=3) for name, value in values.items()}, series
