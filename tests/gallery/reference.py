"""Reference runs: real runs that the repository keeps in docs/reference, with no word of the place they are from.

    python -m tests.gallery.reference RUN NAME

copies the run folder RUN, or both sides of the paired run in RUN, to docs/reference/NAME. Journal and records are
copied as they are. Of run.json is taken out: the host's name, the suite's folder, and the folders in the command and in
what a paired run says of its sides; nothing else, and no number.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.folder import JOURNAL, RECORDS, RUN

HOME = Path(__file__).parent.parent.parent / "docs" / "reference"
SIDES = ("base", "candidate")
PLACES = re.compile(r"(?<![\w.:/-])(?:/(?:home|root|tmp|work|mnt|media|srv|var|data|scratch|Users)/|[A-Z]:\\)\S*")
"""A path on somebody's machine; those of the system and of torch’s build (/usr, /opt) tell nothing of anybody."""


class NamesItsPlace(Exception):
    """A run tells where it was measured, in a text that is not ours to change."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stands under one name in docs/reference: a run, or the two sides of a paired run."""

    name: str
    folder: Path

    @property
    def runs(self) -> tuple[Path, ...]:
        """Its run folders: one, or baseline and candidate."""
        return tuple(self.folder / side for side in SIDES) if self.paired else (self.folder,)

    @property
    def paired(self) -> bool:
        """Whether it is a baseline with its candidate."""
        return not (self.folder / RUN).exists()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def document(self) -> dict[str, Any]:
        """run.json; of a pair that of the candidate."""
        document: dict[str, Any] = json.loads((self.runs[-1] / RUN).read_text("utf-8"))
        return document


def kept(home: Path = HOME) -> list[Kept]:
    """Return what is kept, in alphabetical order."""
    found = {path.parent if path.parent.name not in SIDES else path.parent.parent for path in home.rglob(RUN)}
    return [Kept(folder.relative_to(home).as_posix(), folder) for folder in sorted(found)]


def keep(source: Path, target: Path) -> None:
    """Copy the run in `source`, or its two sides, to `target`, in place of what is there.

    Raises:
        NamesItsPlace: A path of somebody's machine is left in it; nothing is copied.
    """
    sides = [""] if (source / RUN).exists() else list(SIDES)
    texts = {Path(side) / name: text for side in sides for name, text in _texts(source / side).items()}
    shutil.rmtree(target, ignore_errors=True)
    for path, text in texts.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, "utf-8")


def placeless(document: dict[str, Any]) -> dict[str, Any]:
    """Return run.json without the host's name and the folders in which everything stood."""
    out = document | {
        "suite": document["suite"] | {"file": None},
        "environment": {name: fact for name, fact in document["environment"].items() if name != "hostname"},
        "command": shlex.join(map(_last, shlex.split(document["command"]))),
    }
    if pairing := document.get("paired"):
        out["paired"] = {name: _last(said) for name, said in pairing.items()}
    return out


def _last(word: str) -> str:
    return Path(word).name if word.startswith("/") else word


def places(text: str, host: str = "") -> Iterator[str]:
    """Yield the paths of somebody's machine in `text`, and the host's name where it stands as a word."""
    yield from PLACES.findall(text)
    if host:
        yield from re.findall(rf"\b{re.escape(host)}\b", text)


def _texts(run: Path) -> dict[str, str]:
    document = json.loads((run / RUN).read_text("utf-8"))
    texts = {RUN: json.dumps(placeless(document), indent=1, ensure_ascii=False) + "\n"}
    texts |= {name: (run / name).read_text("utf-8") for name in (JOURNAL, RECORDS)}
    for name, text in texts.items():
        if found := next(places(text, document["environment"].get("hostname", "")), None):
            raise NamesItsPlace(f"{run / name} tells where it was measured: {found!r}; keep another run")
    return texts


def main(arguments: list[str] | None = None) -> int:
    """Keep a run; return 2 where it cannot be kept."""
    parser = argparse.ArgumentParser(description="Keep a run in docs/reference, without the names of its place.")
    parser.add_argument("run", type=Path, help="a run folder, or that of a paired run")
    parser.add_argument("name", help="its name there, such as quick or gpu-h200")
    options = parser.parse_args(arguments)
    try:
        keep(options.run, HOME / options.name)
    except (OSError, KeyError, ValueError, NamesItsPlace) as error:
        print(f"reference: {options.run} cannot be kept: {error}", file=sys.stderr)
        return 2
    print(f"{HOME / options.name}: {Kept(options.name, HOME / options.name).size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
