"""A page's own style and scripts, and the policy that lets exactly these run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from plotly.offline import get_plotlyjs

STYLES = ("base.css", "sections.css", "narrow.css", "print.css")


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
def script(*names: str) -> str:
    """Return the page's own scripts of these names as one, without indents, and comments at a line's end."""
    return re.sub(r"(?: // [^\n]*)?\n\s*", "\n", "".join(asset(name) for name in names))


@cache
def styles(sheets: tuple[str, ...] = STYLES) -> str:
    """Return the page's style sheets as one, without comments, line ends and idle spaces."""
    css = re.sub(r"/\*.*?\*/|\n\s*", "", "\n".join(asset(name) for name in sheets), flags=re.DOTALL)
    return css.replace(";}", "}")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
