"""The cells of the matrix of determinism: a case on an axis, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.metrics import show, show_percent
from reports.results import Result

COLUMNS = {
    "run": ("Run", "the same input twice"),
    "batch_size": ("Batch size", "alone, or among others"),
    "position": ("Position", "elsewhere in the batch"),
    "composition": ("Composition", "beside other sequences"),
    "padding": ("Padding", "padding beside it"),
    "drops": ("Drops", "another capacity, or order of service"),
    "environment": ("Environment", "threads; on CUDA, kernels"),
    "causal": ("Causal", "later tokens changed"),
    "ranks": ("Ranks", "experts spread over ranks"),
}
"""Axes in the page's order: heading, and what varies."""

CAUSES = {
    "none": ("eq", "bit-equal"),
    "rounding": ("rd", "rounding"),
    "routing_flip": ("fl", "routing flips"),
    "drop": ("dr", "drops"),
    "coupling": ("cp", "coupled"),
    "unknown": ("un", "cause unknown"),
}
"""Cause: the cell's class, and its word; from the mildest to what changes the result most."""
_SEVERITY = list(CAUSES)

DETAILS = {
    "drop": "capacity",
    "routing_flip": "routing",
    "router_rounding": "router’s product",
    "gemm_tiling": "products’ tiling",
    "combine_order": "order of sums",
    "padding": "padding",
    "coupling": "by design",
}
"""Where rows begin to differ, in the cell's words."""
PROOFS = {"replay": "gone when replayed", "taps": "seen at its taps"}
"""What confirmed it, in the cell's words; float64 says one of two things."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant on one axis: the worst of its cases."""

    axis: str
    kind: str
    """eq, rd, fl, dr, cp; un where rows differ and nobody knows why; no where the axis was not measured."""
    word: str
    detail: str
    """Share of rows that stayed bit-equal and the largest error; where all are, the bound of those that may not be."""
    why: str
    """Where rows begin to differ, and what confirmed it: `products’ tiling, seen at its taps`; empty where none do."""
    share: float | None
    max_rel: float | None
    cause: str | None
    worst: str | None
    """Id of the case that the cell speaks of."""


def cell_of(axis: str, results: list[Result]) -> Cell:
    """Return the cell of an axis: the worst of `results`."""
    known = [result for result in results if result.number(f"det_{axis}") is not None]
    if not known:
        return Cell(axis, "no", "not measured", "", "", None, None, None, None)
    worst = max(known, key=lambda result: _badness(result, axis))
    share, max_rel = worst.number(f"det_{axis}"), worst.number(f"det_{axis}_max_rel")
    cause = _cause(worst, axis)
    kind, word = CAUSES.get(cause, ("fl", cause.replace("_", " ")))
    return Cell(axis, kind, word, _detail(worst, axis, kind), _why(worst, axis), share, max_rel, cause, worst.id)


def _badness(result: Result, axis: str) -> tuple[int, float, float]:
    cause = _cause(result, axis)
    rank = _SEVERITY.index(cause) if cause in _SEVERITY else len(_SEVERITY)
    return rank, -(result.number(f"det_{axis}") or 0.0), result.number(f"det_{axis}_max_rel") or 0.0


def _cause(result: Result, axis: str) -> str:
    value = result.metrics.get(f"det_{axis}_cause")
    if value is not None and isinstance(value.value, str):
        return value.value
    return "none" if result.number(f"det_{axis}") == 1 else "unknown"


def _detail(result: Result, axis: str, kind: str) -> str:
    share, changed = result.number(f"det_{axis}"), result.number(f"det_{axis}_changed")
    if share is None:
        return ""
    if kind == "eq":
        bound = result.number(f"det_{axis}_bound")
        return "" if not bound else f"< {_rounded_up(100 * bound)} % of rows differ"
    if kind == "rd":
        max_rel = result.number(f"det_{axis}_max_rel")
        error = f", {show('det_run_max_rel', max_rel)}" if max_rel is not None else ""
        return f"{show_percent(share)} equal{error}" if share else f"no row equal{error}"
    return f"{show_percent(1 - share if changed is None else changed)} of rows change"


def _rounded_up(per_cent: float) -> str:
    """Return two significant digits, never less than the bound itself."""
    step = 10.0 ** (math.floor(math.log10(per_cent)) - 1)
    return f"{math.ceil(per_cent / step - 1e-9) * step:.2g}"


def _why(result: Result, axis: str) -> str:
    detail, proof = _word(result, f"det_{axis}_detail"), _word(result, f"det_{axis}_proof")
    float64 = "gone in float64" if _cause(result, axis) == "rounding" else "stays in float64"
    parts = (DETAILS.get(detail, detail), {**PROOFS, "float64": float64}.get(proof, ""))
    return ", ".join(part for part in parts if part)


def _word(result: Result, metric: str) -> str:
    value = result.metrics.get(metric)
    return value.value if value is not None and isinstance(value.value, str) else ""
