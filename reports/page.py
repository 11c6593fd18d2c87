"""Prints a Review as one self-contained HTML page: no request, a strict policy, complete without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from harness.judge.stats import Interval
from harness.judge.verdict import MARGIN
from harness.metrics import show, show_bytes, show_percent, show_ratio, show_spread
from reports.compare import Comparison
from reports.figures import fronts as fronts_figure
from reports.figures import memory as memory_figure
from reports.figures import roofline as roofline_figure
from reports.figures import scaling as scaling_figure
from reports.glyph import Glyph, Scale, band, glyph
from reports.labels import label
from reports.review import Review
from reports.sections import fronts, winners
from reports.sections.bars import Bar
from reports.sections.cases import Filter
from reports.sections.cases import Row as CaseRow
from reports.sections.coverage import Coverage
from reports.sections.crossovers import overtaker, place, settled, unsettled
from reports.sections.phases import Row as PhaseRow
from reports.sections.ratios import Block, mean_text
from reports.sections.scaling import Line
from reports.theme import base_layout, marker
from reports.words import Sentence, join, ratio, slope

STYLES = ("base.css", "sections.css", "narrow.css", "print.css")
VERDICT_CLASS = {
    "faster": "fast",
    "slower": "slow",
    "same": "noise",
    "undecided": "und",
    "less memory": "fast",
    "more memory": "nc plain",
    "batch-invariant": "fast",
    "not batch-invariant": "nc",
}
"""Verdict word: the class that gives it symbol and colour."""
ROLE_CLASS = {
    "weights": "fill",
    "inputs": "ph-o",
    "optimizer": "ph-c",
    "saved": "fill dim",
    "gradients": "ph-d",
    "in flight": "ph-r",
    "workspace": "ws",
    "rest of the peak": "ph-r",
}
"""Role of bytes: the class that fills its part of a bar."""
_TAG = re.compile(r"<[a-z][^<>]*>")
_QUOTED = re.compile(r'="([\w.#%,-]+)"(?=[ >])')
_CLOSED = re.compile(r'="([\w.#%,-]+)"/>')
_IMPLIED = re.compile(
    r"</td>(?=\s*(?:<td|</tr>))|</tr>(?=\s*<tr)|(?<=>)\s+(?=<t[rd])|</t[hrd]>(?=</t|<th)|</p>(?=\s*<(?:p|table|div|/details|details|/section))"
    r"|</li>(?=<li|</[ou]l)|</d[td]>(?=</div)|</dt>(?=<dd)|</tr>(?=\s*</t)"
)
_HYPHENATED = re.compile(r"((?<![\w-])[\w.]{1,12}-[\w.]{1,12}(?![\w-]))")
Shared = Mapping[str, Mapping[str, Any]]
"""What every figure of a page would say: `layout`, and `marks` by family and step."""
GAP = 0.6
"""Free marks' widths between two variants on the strip of cases."""


def render_page(review: Review, run_folder: str = "") -> str:
    """Return the page; the same Review always gives the same bytes.

    `run_folder` is the way from the page's folder to the run's, ending in a slash; empty where they are one.
    """
    panels = scaling_figure.figures(review)
    fronts = fronts_figure.figures(review)
    drawn = [*fronts, *panels, *roofline_figure.figures(review), *memory_figure.figures(review)]
    scripts = {"plotly": plotly_js(), "boot": script("boot.js"), "script": script("page.js")}
    shared = shared_by_all(review)
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            review=review,
            beside=quote(run_folder),
            figures=drawn,
            rows={row.subject.id: number for number, row in enumerate(review.cases.rows)},
            front_ids={figure.id for figure in fronts},
            panel_ids={figure.id for figure in panels},
            columns=scaling_figure.columns(review),
            strip=list(strip(review.coverage)),
            css=styles(),
            policy=policy(scripts.values()),
            shared=shared,
            **scripts,
        )
    )
    return thin(page)


def thin(page: str) -> str:
    """Return the page without what HTML implies in its body: quotes of plain values, and ends of cells and rows."""
    head, main, rest = page.partition("<main>")
    body, footer, tail = rest.partition("<footer>")
    body = body.replace(' x="0%"', "")
    body = _TAG.sub(lambda tag: _CLOSED.sub(r"=\1 />", _QUOTED.sub(r"=\1", tag[0])), _IMPLIED.sub("", body))
    return head + main + body + footer + tail


def policy(scripts: Iterable[str]) -> str:
    """Return the Content-Security-Policy that lets exactly these scripts run, and nothing be fetched."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def plotly_js() -> str:
    """Return plotly.js as plotly.py ships it: the version that it serialises figures for."""
    return str(get_plotlyjs()).replace("\r\n", "\n")


@cache
def asset(name: str) -> str:
    """Return one of the page's own style sheets or scripts."""
    return (files("reports") / "assets" / name).read_text("utf-8")


@cache
def script(name: str) -> str:
    """Return one of the page's own scripts without its indents."""
    return re.sub(r"\n\s+", "\n", asset(name))


@cache
def styles(sheets: tuple[str, ...] = STYLES) -> str:
    """Return the page's style sheets as one, without comments, line ends and idle spaces."""
    css = re.sub(r"/\*.*?\*/|\n\s*", "", "\n".join(asset(name) for name in sheets), flags=re.DOTALL)
    return css.replace(";}", "}")


@cache
def environment() -> Environment:
    """Return the Jinja environment: everything is escaped, and an unknown name is an error."""
    env = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("reports"),
    )
    env.filters |= {
        "ahead": winners.ahead,
        "at": _at,
        "band": lambda scale: band(scale, MARGIN),
        "bytes": lambda value: "–" if value is None else show_bytes(value),
        "capacity": fronts.show_capacity,
        "clip": lambda at: max(0.0, min(100.0, at)),
        "estimate": lambda row: ratio(row.value, row.interval),
        "figure_json": figure_json,
        "to_json": to_json,
        "gap": gap,
        "mean_text": mean_text,
        "joules": lambda value: show("energy_j_per_mtoken", value).removesuffix(" J/Mtoken"),
        "keys": keys,
        "label": label,
        "level": level,
        "ms": lambda value: show("latency_ms", value).removesuffix(" ms"),
        "of_subject": fronts.of_subject,
        "of_roof": lambda fraction: show_percent(round(fraction, 3 if fraction < 0.1 else 2)),
        "pct": lambda value: f"{round(value, 1):g}%",
        "role_class": ROLE_CLASS.__getitem__,
        "spread": show_spread,
        "nb": unbroken,
        "place": _place,
        "plain_number": lambda value: f"{value:g}",
        "ratio": lambda value: show_ratio(value),
        "ratio_of": lambda interval: ratio(interval.value, interval),
        "reach": lambda parts: max((x + width for x, width, _ in parts), default=0.0),
        "settled": settled,
        "short": winners.short,
        "share": lambda value: "–" if value is None else show_percent(round(value, 2)),
        "slope": slope_words,
        "split": split,
        "stack": stack,
        "standing": fronts.standing,
        "steps": steps,
        "tally": tally,
        "tie": winners.tie,
        "told": lambda point: fronts.told(point).removesuffix(" ms"),
        "times": lambda value: "–" if value is None else show_ratio(value),
        "unsettled": unsettled,
        "watts": lambda value: show("power_w", value),
        "verdict_class": lambda word: VERDICT_CLASS.get(word, "plain"),
    }
    env.globals |= {"overtaker": overtaker, "place": place}
    return env


def figure_json(figure: go.Figure, rows: Mapping[str, int] | None = None, shared: Shared | None = None) -> str:
    """Return the figure as JSON that cannot end its script element: `<`, `>` and `/` are escaped, NaN is null.

    With `rows`, the table of cases, and what all figures share, it says only what is its own: the id of a case is the
    number of its row, `#12`. The page's script puts both back, and a page of many figures is a tenth smaller for it.
    """
    text = str(figure.to_json())
    if rows is None or shared is None:
        return text
    data = json.loads(text)
    for trace in data["data"]:
        trace |= {"customdata": _numbered(trace["customdata"], rows)} if "customdata" in trace else {}
        trace |= {"marker": _marked(trace["marker"], shared["marks"])} if "marker" in trace else {}
        if trace["type"] == "scatter":  # what plotly.js takes a trace for that does not say
            del trace["type"]
    own, usual = data["layout"], shared["layout"]
    data["hover"] = own.pop("template")["data"]["scatter"][0]["hovertemplate"]
    for axis in ("xaxis", "yaxis"):
        own[axis] = _unlike(own[axis], usual["template"]["layout"][axis])
    data["layout"] = _unlike(own, usual)
    return to_json(data)


def shared_by_all(review: Review) -> Shared:
    """Return the layout that all figures share, and the mark of each variant."""
    layout = base_layout(0, "")
    marks = {f"{one.family}{one.step}": marker(one.family, one.step) for one in review.identities}
    return {"layout": _unlike(layout, {"height": 0}), "marks": marks}


def to_json(data: Any) -> str:
    """Return `data` as JSON that cannot end its script element: `<`, `>` and `/` are escaped."""
    plain = json.dumps(data, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("/", "\\u002f")


def _unlike(own: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key not in usual or usual[key] != value}


def _marked(own: Mapping[str, Any], marks: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the mark by the name of the shared one that looks like it, with what is its own beside it."""
    for name, mark in marks.items():
        if (own["symbol"], own["color"], own["line"]) == (mark["symbol"], mark["color"], mark["line"]):
            return {"of": name} | _unlike(own, mark)
    return own


def _numbered(data: Any, rows: Mapping[str, int]) -> Any:
    if isinstance(data, list):
        return [_numbered(item, rows) for item in data]
    return f"#{rows[data]}" if isinstance(data, str) and data in rows else data


def strip(coverage: Coverage) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the status of every case, variants set apart by a gap."""
    groups = [group for group in coverage.groups if group.marks]
    units = sum(len(group.marks) for group in groups) + 2 * GAP * max(0, len(groups) - 1)
    if not units:
        return
    unit = min(100 / units, 1.6)
    x = 0.0
    for group in groups:
        for mark in group.marks:
            yield x, unit * 0.58, mark.status
            x += unit
        x += 2 * GAP * unit


def split(row: PhaseRow, top: float) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the class of each phase of a bar; what is not positive is left out."""
    classes = {"router": "ph-r", "dispatch": "ph-d", "experts": "fill", "combine": "ph-c", "other": "ph-o"}
    x = 0.0
    for phase, cls in classes.items():
        width = 100 * max(0.0, row.shares.get(phase, 0.0)) * row.length / top
        if width > 0:
            yield x, width, cls
        x += width


def stack(bar: Bar, top: float) -> Iterator[tuple[float, float, str]]:
    """Yield start and width in per cent and the class of each part of a memory bar."""
    x = 0.0
    for role, part in bar.roles.items():
        width = 100 * part / top
        if width > 0:
            yield x, width, ROLE_CLASS[role]
        x += width


def tally(block: Block) -> str:
    """Return `3 faster, 2 slower and 1 undecided`."""
    words = [row.verdict for row in block.rows]
    return join(f"{words.count(word)} {word}" for word in ("faster", "slower", "same", "undecided") if word in words)


def slope_words(interval: Interval) -> Sentence:
    """Return a slope with its interval."""
    return slope(interval)


def gap(share: float | None) -> str:
    """Return how far a measured peak lies from its prediction: `+1.2 %`, `0 %` below a tenth of a per cent."""
    if share is None:
        return "–"
    text = show_percent(round(abs(share), 3))
    return text if text == "0 %" else f"{'+' if share > 0 else '−'}{text}"


def steps(values: Sequence[float], top: float) -> str:
    """Return the outline of one bar a value, each 1 wide and 100 high at `top`, as an SVG path; equal ones as one."""
    out = ["M0 100"]
    for height, run in itertools.groupby(level(value, top) for value in values):
        out.append(f"V{height}h{len(list(run))}")
    return "".join([*out, "V100Z"])


def level(value: float, top: float) -> str:
    """Return where `value` stands on a scale that is 100 high and ends at `top`; what is above is cut."""
    return f"{round(100 - 100 * min(1.0, value / top), 1):g}"


def keys(row: CaseRow, filters: Iterable[Filter]) -> str:
    """Return for each filter the place of the row's value in it; `-` where the row has none."""
    values = [(row.filters[one.key], one.values) for one in filters]
    return ",".join(str(known.index(value)) if value in known else "-" for value, known in values)


def unbroken(text: str) -> Markup:
    """Return `text` escaped, its short hyphenated words kept in one piece: a line ends after `top-2`, not within."""
    pieces = _HYPHENATED.split(text)
    return Markup("").join(
        Markup('<span class="nb">{}</span>').format(piece) if index % 2 else piece for index, piece in enumerate(pieces)
    )


def _place(row: Comparison, scale: Scale) -> Glyph:
    return glyph(scale, row.value, row.interval)


def _at(line: Line, x: float) -> str:
    level = line.slope is None and len({point.id for point in line.points}) == 1
    found = line.points[0] if level else next((point for point in line.points if point.x == x), None)
    if found is None:
        return "–"
    return show("latency_ms", found.ms, found.low, found.high).removesuffix(" ms")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
