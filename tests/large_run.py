"""Test data: runs of as many cases as wanted, made in seconds: the records of a few cases, told again of many."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.case import Case
from tests import fake_run

ROUTED = (("top-2", "token_choice"), ("expert-choice", "expert_choice"), ("soft", "soft"))
FAILED = (("oom", "needs {} GiB, and 8 GiB are free"), ("timeout", "took longer than {} s"))


def large_cases() -> Iterator[Case]:
    """Yield cases without end: five variants, experts, sizes, batches, formats and passes, and ever more tokens."""
    for tokens in itertools.count(64, 64):
        for size, batch, dtype, pass_ in itertools.product(
            fake_run.SIZES, (1, 2, 4, 8, 16, 32), ("float32", "bfloat16"), ("forward", "forward_backward")
        ):
            axes: dict[str, Any] = {"size": size, "batch": batch, "dtype": dtype, "pass_": pass_, "tokens": tokens}
            yield fake_run.make_case("dense", "dense", **axes)
            for (variant, layer), experts in itertools.product(ROUTED, (4, 8, 16, 32, 64)):
                yield fake_run.make_case(variant, layer, experts=experts, **axes)


def write_large_run(folder: Path, number: int) -> Path:
    """Write a run of `number` cases to `folder` and return it; one case in fifty has failed, one in five has notes."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = list(itertools.islice(large_cases(), number))
    draw = random.Random(0)
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_record(case, draw)) + "\n" for case in cases)
    few = fake_run.run_file(cases[:1])
    few["suite"]["variants"] = [
        {"name": name, "layer": layer, "match": None} for name, layer in (*ROUTED, ("dense", "dense"))
    ]
    planned = few["cases"][0]
    few["cases"] = [
        planned | {"id": case.id, "key": case.key, "variant": case.variant, "case": case.as_dict()} for case in cases
    ]
    (folder / "run.json").write_text(json.dumps(few), "utf-8")
    return folder


_TOLD: dict[tuple[object, ...], dict[str, Any]] = {}


def _record(case: Case, draw: random.Random) -> dict[str, Any]:
    like = (case.variant, case.size, case.experts, case.pass_)
    if like not in _TOLD:
        _TOLD[like] = fake_run.ok_record(case, draw)
    own = {"id": case.id, "key": case.key, "case": case.as_dict()}
    record = _TOLD[like] | own | {"notes": [f"{draw.randint(1, 3)} of 6 rounds were disturbed"] * (draw.random() < 0.2)}
    if draw.random() < 0.02:
        status, reason = draw.choice(FAILED)
        return fake_run.fail(record, status, reason.format(draw.randint(9, 90)))
    return record | {"metrics": record["metrics"] | {"latency_ms": _time(case, record, draw)}}


def _time(case: Case, record: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    factor = case.sequence_tokens / 512 * draw.gauss(1, 0.05)
    told: dict[str, Any] = record["metrics"]["latency_ms"]
    rounds = [time * factor * draw.gauss(1, 0.01) for time in told["rounds"]]
    known = sorted(rounds)
    return dict(told) | {"value": known[len(known) // 2], "low": known[0], "high": known[-1], "rounds": rounds}
