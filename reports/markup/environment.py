"""The Jinja environment of every page, with the words and shapes that templates use."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.judge.verdict import MARGIN
from harness.metrics import fixed, show, show_bytes, show_percent, show_ratio, show_spread
from reports.glyph import THIN, band
from reports.markup.charts import figure_json
from reports.markup.rows import cells, look
from reports.markup.shapes import ROLE_CLASS, level, pct, place_of, range_of, split, stack, steps
from reports.markup.texts import VERDICT_CLASS, between_tags, gap, in_double_quotes, slope_words, time_at, unbroken
from reports.sections.fronts_points import of_subject
from reports.sections.fronts_words import show_capacity, told
from reports.sections.ratios import mean_text
from reports.visible import finalized
from reports.words import ratio


@cache
def environment() -> Environment:
    """Return the Jinja environment: everything is escaped, and an unknown name is an error."""
    env = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("reports"),
    )
    env.filters |= {
        "at": time_at,
        "band": lambda scale: band(scale, MARGIN),
        "between_tags": between_tags,
        "bytes": lambda value: "–" if value is None else show_bytes(value),
        "capacity": show_capacity,
        "cells": cells,
        "estimate": lambda row: ratio(row.value, row.interval),
        "figure_json": figure_json,
        "gap": gap,
        "in_double_quotes": in_double_quotes,
        "mean_text": mean_text,
        "is_thin": lambda width: width < THIN,
        "joules": lambda value: show("energy_j_per_mtoken", value).removesuffix(" J/Mtoken"),
        "level": level,
        "look": look,
        "ms": lambda value: show("latency_ms", value).removesuffix(" ms"),
        "of_subject": of_subject,
        "of_roof": lambda fraction: show_percent(round(fraction, 3 if fraction < 0.1 else 2)),
        "part": lambda value: f"{round(value / 100, 3):g}".removeprefix("0") or "0",
        "pct": pct,
        "role_class": ROLE_CLASS.__getitem__,
        "spread": show_spread,
        "nb": unbroken,
        "noise_band": band,
        "place": place_of,
        "range": range_of,
        "plain_number": lambda value: f"{value:g}",
        "ratio": lambda value: show_ratio(value),
        "ratio_of": lambda interval: ratio(interval.value, interval),
        "reach": lambda parts: max((x + width for x, width, _ in parts), default=0.0),
        "share": lambda value: "–" if value is None else show_percent(round(value, 2) + 0.0),  # no `−0 %`
        "show": lambda value, metric: show(metric, value),
        "slope": slope_words,
        "split": split,
        "stack": stack,
        "steps": steps,
        "told": lambda point: told(point).removesuffix(" ms"),
        "times": lambda value: "–" if value is None else show_ratio(value),
        "whole": lambda value: fixed(value, 0),
        "watts": lambda value: show("power_w", value),
        "verdict_class": lambda word: VERDICT_CLASS.get(word, "plain"),
    }
    return env
