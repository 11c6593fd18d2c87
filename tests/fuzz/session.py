"""`nox -s fuzz`: atheris on every target, each in a process of its own, and the table of what came of it.

    python -m tests.fuzz.session [--keep PAGE] [--share S]     all targets
    python -m tests.fuzz.session TARGET COUNT FOLDER           one of them, which prints a JSON document

libFuzzer, inside atheris, chooses among the texts by the lines of the harness that they reach; half of the mutations
are its own, of bytes, the others know words, lines and JSON (`mutate`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COUNTS = {"suite": 40_000, "set": 20_000, "select": 20_000, "journal": 10_000, "records": 3_000, "manifest": 10_000,
          "policy": 10_000, "compared": 3_000, "cluster": 10_000}  # fmt: skip
"""Texts for each target: over 100,000 in all. Records are reported on whatever they hold, which takes longest."""
LARGEST = 1 << 15
"""Bytes of a text."""
WHOLE_S = 7200
DEFECTS = Path("fuzz-defects")
"""Where the first text of each defect is kept, in the working folder."""


def main() -> int:
    """Fuzz one target, or all; return 1 where anything was found."""
    parser = argparse.ArgumentParser(description="Fuzz everything that the harness reads.")
    parser.add_argument("target", nargs="*", help="TARGET COUNT FOLDER; left out: all of them")
    parser.add_argument("--keep", type=Path, help="write the table to this page")
    parser.add_argument("--share", type=float, default=1.0, help="of the texts")
    options = parser.parse_args()
    if options.target:
        name, texts, folder = options.target
        _fuzz(name, int(texts), Path(folder))
    results = [_in_own_process(name, max(1, int(texts * options.share))) for name, texts in COUNTS.items()]
    return _tell(results, options.keep)


def _in_own_process(name: str, texts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        command = [sys.executable, "-m", "tests.fuzz.session", name, str(texts), f"{folder}/{name}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=WHOLE_S, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            return {"target": name, "inputs": 0, "accepted": 0, "slowest_s": 0.0, "defects": {"it died": 1}}
        result: dict[str, Any] = json.loads(lines[-1])
        return result


def _fuzz(name: str, texts: int, folder: Path) -> None:
    """Fuzz one target and print what came of it; ends the process, as libFuzzer does."""
    import atheris

    with atheris.instrument_imports(include=["harness", "reports"], enable_loader_override=False):
        from tests.fuzz.guard import Guard
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.mutate import mutate

    guard = Guard(TARGETS[name], folder, DEFECTS)
    sound = guard.begin()
    corpus = folder.with_name("corpus")
    corpus.mkdir()
    for number, text in enumerate(sound):
        (corpus / str(number)).write_bytes(text)

    def read(data: bytes) -> None:
        guard.read(data)
        if guard.inputs >= texts:
            print(json.dumps(guard.result()), flush=True)
            os._exit(0)  # libFuzzer has no other way to say that it was enough

    def change(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(data or chance.choice(sound), chance)[:most]

    atheris.Setup(
        [
            sys.argv[0],
            f"-max_len={LARGEST}",
            "-seed=1",
            "-verbosity=0",
            "-timeout=300",
            "-rss_limit_mb=4096",
            str(corpus),
        ],
        read,
        custom_mutator=change,
    )
    atheris.Fuzz()


def _tell(results: list[dict[str, Any]], page: Path | None) -> int:
    from tests.reliability import markdown_table, plain_table, write_section

    print(plain_table(_rows(results)))
    if page is not None:
        write_section(page, "fuzz", markdown_table(_rows(results)))
    for result in results:
        for what, texts in result["defects"].items():
            print(f"{result['target']}: {what} ({texts} texts)", file=sys.stderr)
    return int(any(result["defects"] for result in results))


def _rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield ("what is read", "texts", "accepted", "tracebacks", "over 1 s", "written outside", "slowest")
    for result in results:
        yield _row(result["target"], [result])
    yield _row("all", results)


def _row(name: str, results: list[dict[str, Any]]) -> tuple[str, ...]:
    defects = {what: texts for result in results for what, texts in result["defects"].items()}
    slow = sum(texts for what, texts in defects.items() if what.startswith("a text that took too long"))
    outside = sum(texts for what, texts in defects.items() if what.startswith("WrittenOutside"))
    numbers = [sum(result[key] for result in results) for key in ("inputs", "accepted")]
    slowest = max(result["slowest_s"] for result in results)
    rest = sum(defects.values()) - slow - outside
    return (name, *(f"{number:,}" for number in (*numbers, rest, slow, outside)), f"{1e3 * slowest:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
