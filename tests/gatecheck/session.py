"""`nox -s gatecheck`: real runs of one code that a gate must let pass, and planted changes that it must see.

    python -m tests.gatecheck.session [--gates N] [--into DIR] [--keep PAGE]

A run of the suite `quick` is gated against the one before it, so many times in a row; what alerts is measured again, as
for anybody. Then each planted change (`planted.py`) is measured, in a checkout of its own, by two separate runs and by
one paired run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.gatecheck.drive import BLIND, Failed, Verdict, gate, kept_gate, measure
from tests.gatecheck.planted import PLANTED, ROOT, SUITE, changed, checkout
from tests.reliability import markdown_table, plain_table, write_section

GATES = 20
OPTIONS = ("--threads", "1")
"""Planted slow-downs are shares of one core's time."""
Row = tuple[str, str, str, str]


def main(arguments: list[str] | None = None) -> int:
    """Check, print and keep; return 1 where a gate was wrong, 3 where something could not be measured."""
    parser = argparse.ArgumentParser(description="Gate real runs of one code, and of code with a planted change.")
    parser.add_argument("--gates", type=int, default=GATES, help=f"A/A gates in a row ({GATES})")
    parser.add_argument("--suite", default="quick", help="what the A/A gates run (quick)")
    parser.add_argument("--into", type=Path, help="keep the runs there, or go on with those that are there")
    parser.add_argument("--keep", type=Path, help="write the table to this page")
    options = parser.parse_args(arguments)
    table: list[Row] = [("what", "found", "must be", "")]
    with tempfile.TemporaryDirectory(prefix="gatecheck-") as spare:
        folder = options.into or Path(spare)
        try:
            table += [*equals(folder / "equals", options.suite, options.gates), *planted(folder / "planted")]
        except Failed as error:
            print(f"gatecheck: {error}", file=sys.stderr)
            return 3
    print(plain_table(table))
    if options.keep is not None:
        write_section(options.keep, "gatecheck", markdown_table(table))
    return int(any(row[-1] == "missed" for row in table))


def equals(folder: Path, suite: str, gates: int) -> Iterator[Row]:
    """Gate each run of one code against the one before; yield what alerted, once and twice."""
    folder.mkdir(parents=True, exist_ok=True)
    verdicts: list[Verdict] = []
    last = None
    for number in range(gates + 1 if gates else 0):
        begun = time.monotonic()
        run = measure(ROOT, suite, folder / f"run-{number:02}")
        if last is not None:
            verdicts.append(kept_gate(folder / f"gate-{number:02}.json", ROOT, last, run))
            _tell(f"A/A {number} of {gates}", verdicts[-1], begun)
        last = run
    if not verdicts:
        return
    wrong, once = sum(bool(one.times) for one in verdicts), sum(bool(one.times or one.cleared) for one in verdicts)
    shut, compared = sum(one.code == 1 for one in verdicts), sum(one.document["comparisons"] for one in verdicts)
    blind = sum(one.code == BLIND for one in verdicts)
    yield f"A/A gates of {suite} in a row with a false alarm on time", f"{wrong} of {gates}", "0", _word(wrong == 0)
    yield "the same on anything", f"{shut} of {gates}", "0", _word(shut == 0)
    yield f"gates of which a first look at {compared} times alerted", f"{once} of {gates}", "", ""
    yield "gates that believed no time: A/A cells of a run differed", f"{blind} of {gates}", "", ""
    yield "times that alerted once, and not again", str(sum(len(one.cleared) for one in verdicts)), "", ""


def planted(folder: Path) -> Iterator[Row]:
    """Gate each planted change, by two runs and by one paired; yield what was seen, and how fine each could see."""
    folder.mkdir(parents=True, exist_ok=True)
    suite = folder / "planted.toml"
    suite.write_text(SUITE, "utf-8")
    sound = checkout(folder / "sound")
    base = measure(sound, suite, folder / "run-sound", *OPTIONS)
    separate, paired = [], []
    for name, change in PLANTED.items():
        begun, other = time.monotonic(), changed(sound, folder / name, change)
        run = measure(other, suite, folder / f"run-{name}", *OPTIONS)
        found = {
            "two runs": gate(other, base, run),
            "one paired run": gate(
                other, sound, other, "--paired", str(suite), "-o", str(folder / f"paired-{name}"), *OPTIONS
            ),
        }
        separate.append(smallest(found["two runs"]))
        paired.append(smallest(found["one paired run"]))
        for how, verdict in found.items():
            _tell(f"{name}, {how}", verdict, begun)
            told = f"{len(verdict.failures)} alarms: {_names(verdict)}"
            must = f"`{change.metrics.rstrip('_')}_*` of {change.variant}, nothing else"
            yield f"{change.what}, {how}", told, must, _word(verdict.sees(change))
    two, one = statistics.median(separate), statistics.median(paired)
    yield "smallest change that two runs tell, median case", f"{100 * two:.1f} %", "", ""
    yield "smallest change that a paired run tells", f"{100 * one:.1f} %", f"{50 * two:.1f} %", _word(one <= two / 2)


def smallest(verdict: Verdict) -> float:
    """Return the median over cases of half the interval of a ratio of latency."""
    rows = [row for row in verdict.document["rows"] if row["change"] and row["metric"] == "latency_ms"]
    return float(statistics.median(row["change"]["noise"] for row in rows))


def _names(verdict: Verdict) -> str:
    named = {f"`{(row['metric'] or '').split('_')[0]}_*` of {row['id'].split('-')[0]}" for row in verdict.failures}
    return ", ".join(sorted(named)) or "none"


def _word(met: bool) -> str:
    return "met" if met else "missed"


def _tell(what: str, verdict: Verdict, begun: float) -> None:
    alarms = f"{len(verdict.failures)} alarms, {len(verdict.cleared)} cleared"
    print(f"[{what}] {alarms}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
