"""What only a page's scripts read, packed: a reader without JavaScript has the same numbers in the tables."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

from reports.visible import all_visible

_PACKED = re.compile(r'<script type="?application/gzip"? id="?packed"?>([\w+/=]*)</script>')


def packed(data: Any) -> str:
    """Return `data` as JSON, compressed and in base64: the same data always give the same text."""
    text = json.dumps(all_visible(data), separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def unpacked(page: str) -> Any:
    """Return what `packed` made of a page's data: what its charts and its table of cases are drawn from."""
    found = _PACKED.search(page)
    return json.loads(gzip.decompress(base64.b64decode(found[1]))) if found else None
