"""The method page: `docs/method.md` as one self-contained HTML page beside the report, with an anchor a heading.

Each section of the report, and through `method_of` each metric, links to the heading that says how it was measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from reports.markup.assets import STYLES, styles
from reports.markup.environment import environment

_PACKAGE = Path(__file__).parent
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
METHOD = "method.css"
METHODS = {
    "latency": ("latency_", "host_ms", "tokens_per_s", "graph_"),
    "torch-compile": ("compile_ms",),
    "flops": ("params", "flops_", "tflops", "mfu", "hfu", "padding_"),
    "roofline-of-a-phase": ("roofline_", "experts_floor_"),
    "memory": ("memory_",),
    "routing": ("load_", "drop_rate", "fully_", "distinct_", "router_", "balance_"),
    "energy": ("energy_", "power_"),
    "phases": ("phase_", "pass_"),
    "expert-parallelism": ("exchange_", "link_"),
    "batch-determinism": ("det_", "flip_", "order_flip_", "tie_"),
}
"""Heading of `docs/method.md`, as its anchor: how the names of the metrics begin that it is about."""


def method_of(metric: str) -> str:
    """Return the anchor of the heading that says how `metric` is measured.

    Raises:
        KeyError: No heading does.
    """
    found = [anchor for anchor, starts in METHODS.items() if metric.startswith(starts)]
    if not found:
        raise KeyError(metric)
    return found[0]


def source() -> str:
    """Return the page as it was written: that of the installed package, else the checkout's."""
    installed = _PACKAGE / "method.md"
    return (installed if installed.exists() else _PACKAGE.parent / "docs" / "method.md").read_text("utf-8")


@cache
def render_method() -> str:
    """Return the method page; it fetches nothing and runs nothing."""
    tokens = _parse(source())
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    page = environment().get_template("method.html.j2")
    return page.render(body=Markup(body), css=styles((*STYLES, METHOD)), headings=headings(tokens))  # noqa: S704  markdown-it escapes it


def headings(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    """Return the anchor and the text of each heading of the second level, in order."""
    pairs = pairwise(tokens)
    return [
        (str(mark.attrs["id"]), text.content) for mark, text in pairs if (mark.type, mark.tag) == ("heading_open", "h2")
    ]


def anchor(heading: str) -> str:
    """Return a heading's anchor: `Batch-determinism` is `batch-determinism`, `torch.compile` is `torch-compile`."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def _parse(text: str) -> list[Token]:
    tokens = _MARKDOWN.parse(text)
    for mark, content in pairwise(tokens):
        if mark.type == "heading_open":
            mark.attrSet("id", anchor(content.content))
        for child in content.children or ():
            if child.type == "link_open" and not str(child.attrs.get("href", "")).startswith(("#", "https://")):
                del child.attrs["href"]  # other pages of the documentation do not lie beside the report
    return tokens
