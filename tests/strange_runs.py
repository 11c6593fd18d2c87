"""Test data: runs at the edges of what a suite can ask for and a machine can answer, each by its name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.case import Case
from tests import fake_run
from tests.fake_run import make_case, quick_cases, write_run

LONG = "a-name-without-an-end-" * 465
"""Ten thousand characters and no place for a line to end."""
PROBES: dict[str, tuple[str, ...]] = {
    "latency": ("latency", "tokens_per_s"),
    "memory": ("memory",),
    "determinism": ("det_",),
    "routing": ("load_", "drop_rate", "distinct_experts", "router_entropy"),
    "phases": ("phase_", "pass_"),
    "flops": ("flops", "params", "padding"),
    "energy": ("energy", "power"),
}
"""Probe: how the names of its metrics begin."""
FAILED = ("oom", "timeout", "crashed", "unsupported", "incorrect", "skipped")


def _few() -> list[Case]:
    return [case for case in quick_cases() if case.size == "S"]


def _failing(status: str) -> fake_run.Edit:
    return lambda _, record: fake_run.fail(record, status, f"invented for a test: {status}")


def _lacking(probe: str) -> fake_run.Edit:
    return lambda _, record: fake_run.without(record, *PROBES[probe])


def _alone(probe: str) -> fake_run.Edit:
    others = [prefix for name, prefixes in PROBES.items() if name != probe for prefix in prefixes]
    return lambda _, record: fake_run.without(record, *others)


def _without_rounds(_: Case, record: dict[str, Any]) -> dict[str, Any]:
    bare = {"low": None, "high": None, "rounds": None, "n": None}
    return record | {"metrics": {name: value | bare for name, value in record["metrics"].items()}}


def _zero(_: Case, record: dict[str, Any]) -> dict[str, Any]:
    """Everything that may be zero is; a time, which may not, is next to nothing."""
    times = {name for name in record["metrics"] if name.endswith("_ms")}
    metrics = {name: value | {"value": 1e-12, "low": 1e-12, "high": 1e-12, "rounds": [1e-12] * 5}
               if name in times else value | ({} if isinstance(value["value"], str) else {"value": 0})
               for name, value in record["metrics"].items()}  # fmt: skip
    return record | {"metrics": metrics}


def _huge(size: float) -> fake_run.Edit:
    """Everything is as large as `size`, the lower ends of intervals as small as one over it."""
    huge = {"value": size, "low": 1 / size, "high": size, "rounds": [size, 1 / size, 1.0] * 2}

    def edit(_: Case, record: dict[str, Any]) -> dict[str, Any]:
        metrics = {name: value if isinstance(value["value"], str) else huge if value.get("rounds") else
                   {key: huge[key] for key in ("value", "low", "high")}
                   for name, value in record["metrics"].items()}  # fmt: skip
        return record | {"metrics": metrics, "series": {name: [size] * 3 for name in record["series"]}}

    return edit


def _uneven(_: Case, record: dict[str, Any]) -> dict[str, Any]:
    """One number in two is as large as a number can be, the others as small."""
    ends = itertools.cycle((1.7e308, 5e-324))
    metrics = {name: value if isinstance(value["value"], str) else value | {"value": next(ends)}
               for name, value in record["metrics"].items()}  # fmt: skip
    return record | {"metrics": metrics}


def _many_variants(number: int) -> list[Case]:
    kinds = ("token_choice", "expert_choice", "soft", "dense")
    cases = []
    for index in range(number):
        kind = kinds[index % 4]
        axes: dict[str, Any] = {} if kind == "dense" else {"experts": 4 * (1 + index % 3)}
        cases.append(make_case(f"variant-{index}", kind, d_ff=768 + 8 * index, **axes) if kind == "dense"
                     else make_case(f"variant-{index}", kind, **axes))  # fmt: skip
    return cases


Writer = Callable[[Path], Path]


def _run(cases: Callable[[], list[Case]], edit: fake_run.Edit | None = None, **top: Any) -> Writer:
    return lambda folder: write_run(folder, cases(), edit=edit, **top)


RUNS: Mapping[str, Writer] = {
    "a thousand variants": _run(lambda: _many_variants(1000)),
    "twelve variants": _run(lambda: _many_variants(12)),
    "one variant": _run(lambda: [make_case("soft", "soft", experts=n, batch=b) for n in (4, 8, 16) for b in (1, 8)]),
    "one case": _run(lambda: [make_case("soft", "soft", experts=8)]),
    "no case": _run(list),
    "three hundred values": _run(lambda: fake_run.sweep_cases("experts", range(1, 301))),
    "very long names": _run(lambda: [make_case("s" + LONG, "soft", experts=8), make_case("d" + LONG, "dense"),
                                     make_case("t" + LONG, "token_choice", experts=8)]),
    "empty names": _run(lambda: [make_case("", "soft", experts=8), make_case("", "dense")], title=""),
    "no rounds": _run(_few, _without_rounds),
    "zeros": _run(_few, _zero),
    "huge numbers": _run(_few, _huge(1e30)),
    "numbers of 1e59": _run(_few, _huge(1e59)),
    "numbers of 1e150": _run(_few, _huge(1e150)),
    "numbers at the ends": _run(_few, _uneven),
    "no records": _run(_few, lambda _, record: None),
} | {f"all {status}": _run(_few, _failing(status)) for status in FAILED} | {
    f"without {probe}": _run(_few, _lacking(probe)) for probe in PROBES
} | {f"{probe} alone": _run(_few, _alone(probe)) for probe in PROBES}  # fmt: skip
"""Name: what writes the run to a folder."""
