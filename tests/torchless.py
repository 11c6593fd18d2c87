"""`nox -s torchless`: every command that only looks at runs or suites, where there is no torch.

python -m tests.torchless [--block]
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from tests.gallery.reference import HOME

COMMANDS = (
    "report kept/quick -o page.html",
    "report kept/planted/base kept/planted/candidate -o history.html",
    "compare kept/planted/base kept/planted/candidate -o compared.md",
    "compare kept/planted/base kept/planted/candidate --gate --no-again --exit-zero --junit junit.xml",
    "export kept/quick -o table.csv",
    "export kept/quick -o table.parquet",
    "export kept/quick --format pytest-benchmark -o benchmarks.json",
    "plan quick",
    "suites",
    "schema",
    "count qwen3-30b-a3b",
)
"""Command lines of `harness`, in a folder that holds the reference runs."""
WRITTEN = ("page.html", "page.json", "page.summary.md", "method.html", "history.html", "compared.md", "junit.xml",
           "table.csv", "table.parquet", "benchmarks.json")  # fmt: skip


class NoTorch(MetaPathFinder):
    """Finds no torch, wherever one may be."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r} (blocked: {__name__})", name=name)
        return None


def faults(folder: Path) -> list[str]:
    """Run every command in `folder`, and return what was wrong."""
    from typer.testing import CliRunner

    from harness.cli import app

    found = []
    for command in COMMANDS:
        words = [str(folder / word) if _is_file(word) else word for word in command.split()]
        done = CliRunner().invoke(app, words)
        print(f"harness {command}: {done.exit_code}", flush=True)
        if done.exit_code != 0:
            found.append(f"harness {command} ended with {done.exit_code}: {done.exception!r} {done.output[-500:]}")
    found += [f"{name} was not written" for name in WRITTEN if not (folder / name).is_file()]
    return found + (["torch was imported"] if "torch" in sys.modules else [])


def _is_file(word: str) -> bool:
    return word in WRITTEN or word.startswith("kept/")


def main(arguments: list[str] | None = None) -> int:
    """Run the commands; return 1 where one of them failed, 2 where there is a torch."""
    parser = argparse.ArgumentParser(description="Render, compare and export the reference runs without torch.")
    parser.add_argument("--block", action="store_true", help="let no torch be found, though there may be one")
    options = parser.parse_args(arguments)
    if options.block:
        sys.meta_path.insert(0, NoTorch())
    elif importlib.util.find_spec("torch"):
        print("torchless: there is a torch here; --block hides it", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="torchless-") as spare:
        folder = Path(spare)
        shutil.copytree(HOME, folder / "kept")
        found = faults(folder)
    print("\n".join(found) or "every command did its work without torch")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
