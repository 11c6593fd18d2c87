"""Colours, marks and dashes of the families, as Plotly takes them; the page's own tokens stand in assets/base.css.

Plotly refuses CSS variables, so figures are drawn in the light scheme's colours, and `assets/sections.css` maps
the inks below to variables by the rgb() value that plotly.js writes.
"""

from __future__ import annotations

from typing import Any

from reports.families import Family

PAPER = "#fdfdfb"
"""The page's ground; a hollow mark is filled with it."""
MUTE = "#59606a"
HAIR = "#e3e3dd"
BAND = "#dfdfd8"
AXIS = "#b4b7b8"
WORSE_INK, BETTER_INK = "rgb(174, 0, 56)", "rgb(63, 55, 176)"
"""Words of a change; `assets/changes.css` gives them to the page's scheme."""

HUE: dict[Family, str] = {
    "dense": "#0072B2",
    "sparse": "#D55E00",
    "soft": "#009E73",
    "mixture": "#6d747e",
    "other": "#6d747e",
}
"""Marks and lines: Okabe and Ito's hues that keep 3:1 on white and on near-black."""
INK: dict[Family, str] = {
    "dense": "#005f96",
    "sparse": "#a34500",
    "soft": "#006e4f",
    "mixture": MUTE,
    "other": MUTE,
}
"""Words in a family's colour: the hues themselves fail 4.5:1 as text."""
SHAPE: dict[Family, str] = {
    "dense": "circle",
    "sparse": "square",
    "soft": "diamond",
    "mixture": "triangle-up",
    "other": "cross",
}
DASH: dict[Family, str] = {
    "dense": "solid",
    "sparse": "6px,4px",
    "soft": "0.1px,4.8px",
    "mixture": "8px,3px,2px,3px",
    "other": "2px,2px",
}
WIDTH: dict[Family, float] = {"dense": 2.0, "sparse": 2.0, "soft": 2.7, "mixture": 1.6, "other": 1.6}
_FILLING = ("", "", "-dot", "-cross")
_OTHERS = ("cross", "cross", "cross-dot", "x")
"""The symbols of the neutral family: Plotly has no crossed cross."""


def marker(family: Family, step: int, size: float = 8) -> dict[str, Any]:
    """Return Plotly's marker of a variant: the family's shape, solid, hollow, dotted or barred."""
    solid = step == 0
    return {
        "symbol": _OTHERS[step] if family == "other" else SHAPE[family] + _FILLING[step],
        "size": size + (1.5 if family == "soft" else 0),
        "color": HUE[family] if solid else PAPER,
        "line": {"color": PAPER if solid else HUE[family], "width": 1 if solid else 1.7},
    }


def stroke(family: Family) -> dict[str, Any]:
    """Return Plotly's line of a family."""
    return {"color": HUE[family], "dash": DASH[family], "width": WIDTH[family]}


AT_THE_END = {"x": 1, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "middle", "xshift": 4,
              "showarrow": False, "align": "left", "font": {"size": 11.5}}  # fmt: skip
"""How a line's own label stands right of its last point; said once, for all labels of a figure."""

AROUND = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below", "fillcolor": BAND, "line": {"width": 0, "color": MUTE}}
"""A band across a chart, from its foot to its head, under the lines."""

QUIET = {"tickmode": "array", "gridcolor": HAIR, "zeroline": False, "linecolor": AXIS, "ticklen": 4, "tickcolor": AXIS,
         "fixedrange": True, "ticklabeloverflow": "allow",
         "title": {"font": {"size": 11.5}, "standoff": 8}}  # fmt: skip
"""What all axes share."""


ALONG = {"showgrid": False, "showline": True, "ticks": "outside", "ticklabelstandoff": 0}
ACROSS = {"showgrid": True, "showline": False, "ticks": "", "ticklabelstandoff": 5}
"""What sets the axis below a chart, a line with ticks, apart from the one at its side, a grid without."""


def base_layout(height: int, hover: str, **more: Any) -> dict[str, Any]:
    """Return the layout that all figures share; `hover` is every trace's hover text. Nothing global is changed."""
    bars = {"type": "data", "symmetric": False, "thickness": 1, "width": 0}
    scatter = {"hovertemplate": hover, "cliponaxis": False, "error_x": bars, "error_y": bars}
    return {
        "template": {
            "data": {"scatter": [scatter]},
            "layout": {
                "annotationdefaults": AT_THE_END,
                "shapedefaults": AROUND,
                "xaxis": QUIET | ALONG,
                "yaxis": QUIET | ACROSS,
            },
        },
        "height": height,
        "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "font": {"family": "Liberation Sans, Arial, sans-serif", "size": 11.5, "color": MUTE},
        "hoverlabel": {"font": {"size": 12}, "align": "left"},
    } | more


def log_axis(
    ticks: list[tuple[float, str]], span: tuple[float, float], *, grid: bool, title: str = ""
) -> dict[str, Any]:
    """Return a logarithmic axis over `span` (in log10) with the ticks that it is given, and no others."""
    return (
        {
            "type": "log",
            "range": [round(end, 4) for end in span],
            "tickvals": [value for value, _ in ticks],
            "ticktext": [text for _, text in ticks],
        }
        | (ACROSS if grid else ALONG)
        | ({"title": {"text": title}} if title else {})
    )
