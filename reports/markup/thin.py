"""Leaves out of a page what HTML implies."""

from __future__ import annotations

import re

_TAG = re.compile(r"<[a-z][^<>]*>")
_QUOTED = re.compile(r'="([\w.#%,:;-]+)"(?=[ >])')
_CLOSED = re.compile(r'="([\w.#%,:;-]+)"/>')
_IMPLIED = re.compile(
    r"</td>(?=\s*(?:<td|</tr>))|</tr>(?=\s*<tr)|\s+(?=<t[rd][ >])|</t[hrd]>(?=</t|<th)"
    r"|</p>(?=\s*<(?:p|t[rd]|table|div|/details|details|/section))|</li>(?=<li|</[ou]l)|</d[td]>(?=</div)|</dt>(?=<dd)|</tr>(?=\s*</t)"
)
_IDLE = re.compile(r"(?<=>)\s+(?=</?(?:table|t[bhr]|p|div|section|figure|details|dl|ul|ol|h\d|pre)\b)")
"""Space before a block, after a tag: nobody sees it. In a `pre` no tag stands."""


def thin(page: str) -> str:
    """Return the page without what HTML implies in its body: quotes of plain values, ends of cells, idle space."""
    head, main, rest = page.partition("<main>")
    body, footer, tail = rest.partition("<footer>")
    body = _IMPLIED.sub("", _IDLE.sub("", body.replace(' x="0%"', "")))
    body = _TAG.sub(lambda tag: _CLOSED.sub(r"=\1 />", _QUOTED.sub(r"=\1", tag[0])), body)
    return head + main + body + footer + tail
