"""The data of a page's charts, as its boot script reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from reports.review import Review
from reports.theme import HUE, base_layout, marker, stroke

LOOKS, STROKES = ("symbol", "color", "line"), ("color", "dash")
"""What a mark and a line are known by."""

Shared = Mapping[str, Mapping[str, Any]]
"""What every figure of a page would say: `layout`, `marks` by family and step with their `hues`, `lines` by family."""


def figure_json(figure: go.Figure) -> str:
    """Return the figure as JSON that cannot end its script element: `<`, `>` and `/` are escaped, NaN is null."""
    return str(figure.to_json())


def figure_data(figure: go.Figure, rows: Mapping[str, int], shared: Shared) -> dict[str, Any]:
    """Return what the figure alone says, beside `rows`, the table of cases, and what all figures share.

    The id of a case is the number of its row, `#12`, and a mark or a line that is a variant's own is named. The page's
    script puts all of it back.
    """
    data: dict[str, Any] = json.loads(str(figure.to_json()), parse_float=_short)
    for trace in data["data"]:
        trace |= {"customdata": _numbered(trace["customdata"], rows)} if "customdata" in trace else {}
        trace |= {"marker": _like(trace["marker"], shared["marks"], LOOKS)} if "marker" in trace else {}
        trace |= {"line": _like(trace["line"], shared["lines"], STROKES)} if "line" in trace else {}
        hue = shared["hues"].get(trace.get("marker", {}).get("of"))
        for bar in ("error_x", "error_y"):
            trace |= {bar: _unlike(trace[bar], {"color": hue})} if bar in trace else {}
        if trace["type"] == "scatter":  # what plotly.js takes a trace for that does not say
            del trace["type"]
    own, usual = data["layout"], shared["layout"]
    data["hover"] = own.pop("template")["data"]["scatter"][0]["hovertemplate"]
    for axis in ("xaxis", "yaxis"):
        own[axis] = _unlike(own[axis], usual["template"]["layout"][axis])
    data["layout"] = _unlike(own, usual)
    return data


def shared_by_all(review: Review) -> Shared:
    """Return the layout that all figures share, and the mark of each variant."""
    layout = base_layout(0, "")
    marks = {f"{one.family}{one.step}": marker(one.family, one.step) for one in review.identities}
    hues = {f"{one.family}{one.step}": HUE[one.family] for one in review.identities}
    lines = {str(one.family): stroke(one.family) for one in review.identities}
    return {"layout": _unlike(layout, {"height": 0}), "marks": marks, "hues": hues, "lines": lines}


def _short(number: str) -> float:
    """Return the number, a whole one without its idle `.0`."""
    value = float(number)
    return int(value) if value.is_integer() else value


def _unlike(own: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key not in usual or usual[key] != value}


def _like(own: Mapping[str, Any], kept: Mapping[str, Mapping[str, Any]], by: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a mark or a line by the name of the shared one that has its `by`, with what is its own beside it."""
    for name, one in kept.items():
        if all(own.get(key) == one[key] for key in by):
            return {"of": name} | _unlike(own, one)
    return own


def _numbered(data: Any, rows: Mapping[str, int]) -> Any:
    if isinstance(data, list):
        return [_numbered(item, rows) for item in data]
    return f"#{rows[data]}" if isinstance(data, str) and data in rows else data
