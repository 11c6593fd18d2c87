"""`nox -s gallery`: the kept runs as today's harness reports them, as pages with pictures in docs/.

python -m tests.gallery.session [--words]
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reports import render
from tests.gallery.chromium import CHROMIUM
from tests.gallery.pictures import take
from tests.gallery.reference import HOME, Kept, kept
from tests.gallery.words import drawn, index, page, table

DOCS = HOME.parent
INDEX, FOLDER, README = DOCS / "gallery.md", DOCS / "gallery", HOME / "README.md"
_KEPT = re.compile(r"(?<=<!-- kept: written by `nox -s gallery` -->\n).*?(?=\n<!-- end of kept -->)", re.DOTALL)


def main(arguments: list[str] | None = None) -> int:
    """Write the gallery; return 2 where there is no Chromium to take pictures with."""
    parser = argparse.ArgumentParser(description="Write docs/gallery.md, its pages and their pictures.")
    parser.add_argument("--words", action="store_true", help="leave the pictures as they are")
    options = parser.parse_args(arguments)
    if CHROMIUM is None and not options.words:
        print("gallery: there is no Chromium on the PATH (Debian: apt-get install chromium)", file=sys.stderr)
        return 2
    runs = kept()
    for path, text in pages(runs).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    if not options.words:
        _pictures(runs)
    return 0


def pages(runs: Sequence[Kept]) -> dict[Path, str]:
    """Return every text of the gallery, by its file."""
    readme = _KEPT.sub(lambda _: table(runs), README.read_text("utf-8"))
    return {INDEX: index(runs), README: readme} | {FOLDER / f"{one.name}.md": page(one) for one in runs}


def _pictures(runs: Sequence[Kept]) -> None:
    with tempfile.TemporaryDirectory(prefix="gallery-") as spare:
        for one in runs:
            shutil.rmtree(FOLDER / one.name, ignore_errors=True)
            if sections := drawn(one):
                html = Path(spare) / f"{one.name}.html"
                render(one.runs[-1], html=html, baseline=one.runs[0] if one.paired else None)
                take(html, FOLDER / one.name, sections)


if __name__ == "__main__":
    sys.exit(main())
