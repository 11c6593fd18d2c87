"""The reader's test: the page of the reference run says what a design review asks, and it is what its journal says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from reports import render
from tests.gallery.reference import HOME
from tests.reader import BATCH, Told, told

QUICK = HOME / "quick"
ESTIMATE = re.compile(r"(?P<ratio>[\d.]+)× \[(?P<low>[\d.]+), (?P<high>[\d.]+)\]")


def document(run: Path, folder: Path) -> dict[str, Any]:
    """Return report.json of `run`."""
    found: dict[str, Any] = json.loads(render(run, html=folder / "page.html").data.read_text("utf-8"))
    return found


def sentence(spans: list[dict[str, str]]) -> str:
    return "".join(span["text"] for span in spans)


def test_the_answer_is_the_one_that_the_journal_gives(tmp_path: Path) -> None:
    said, expected = sentence(document(QUICK, tmp_path)["answer"]), told(QUICK)
    assert f"batch {BATCH}" in said
    assert "at equal FLOPs" in said
    assert_who(said, expected)
    assert_by_how_much(said, expected)
    assert_invariance(said, expected)


@pytest.mark.parametrize(("variant", "factor"), [("soft", 0.1), ("top-1", 0.1), ("dense-1", 0.1)])
def test_another_run_has_another_answer_and_the_page_tells_it(tmp_path: Path, variant: str, factor: float) -> None:
    """With the reference run's times of one layer cut to a tenth, that layer must be named."""
    run = hastened(tmp_path / "run", variant, factor)
    said, expected = sentence(document(run, tmp_path)["answer"]), told(run)
    assert expected.surely == variant
    assert_who(said, expected)
    assert_by_how_much(said, expected)
    assert_invariance(said, expected)


def test_the_cards_say_how_many_layers_are_not_batch_invariant(tmp_path: Path) -> None:
    made = document(QUICK, tmp_path)
    (card,) = (card for card in made["cards"] if card["kind"] == "determinism")
    worst: dict[str, float] = {}
    for line in (QUICK / "records.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        name = record["variant"]
        worst[name] = min(worst.get(name, 1.0), record["metrics"]["det_batch_size"]["value"])
    kept = sum(share == 1.0 for share in worst.values())
    assert 0 < kept < len(worst)
    assert (card["word"], card["big"]) == ("not batch-invariant", f"{len(worst) - kept} of {len(worst)}")


def hastened(folder: Path, variant: str, factor: float) -> Path:
    """Copy the reference run to `folder`, with the times of one variant multiplied, in its journal and its records."""
    shutil.copytree(QUICK, folder)
    for name, change in (("journal.jsonl", _visit), ("records.jsonl", _record)):
        lines = [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]
        for line in lines:
            if line["id"].startswith(f"{variant}-"):
                change(line, factor)
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return folder


def _visit(line: dict[str, Any], factor: float) -> None:
    if line["probe"] == "latency":
        line["values"]["latency_ms"] = [factor * ms for ms in line["values"]["latency_ms"]]


def _record(line: dict[str, Any], factor: float) -> None:
    time = line["metrics"]["latency_ms"]
    time |= {end: factor * time[end] for end in ("value", "low", "high")}
    time["rounds"] = [factor * ms for ms in time["rounds"]]


def assert_who(said: str, expected: Told) -> None:
    """Hold a sentence to who is fastest, or that nobody surely is."""
    assert expected.layer in said
    assert expected.dense in said
    if expected.surely is None:
        assert "no layer is surely fastest" in said
    elif expected.surely == expected.dense:
        assert f"{expected.dense} is fastest" in said
    else:
        assert re.search(rf"{expected.layer} with [^;]*(is fastest|cannot be told apart)", said)


def assert_by_how_much(said: str, expected: Told) -> None:
    """Hold its first ratio to ours, to the last digit that it shows, and its interval to be around it."""
    found = ESTIMATE.search(said)
    assert found is not None
    shown = found["ratio"]
    digits = len(shown.partition(".")[2])
    assert abs(float(shown) - expected.ratio) <= 0.5 * 10**-digits + 1e-9
    assert float(found["low"]) <= float(shown) <= float(found["high"])


def assert_invariance(said: str, expected: Told) -> None:
    """Hold it to whether the fastest is batch-invariant; where nobody surely is, to what both are."""
    names = [expected.surely] if expected.surely else [expected.layer, expected.dense]
    for name in names:
        kept = expected.invariant[name]
        words = (
            "is batch-invariant, bit for bit" if kept == 1 else rf"is not batch-invariant \({changed(kept)} of its rows"
        )
        assert re.search(rf"{name}( \([^)]*\))? {words}", said), (name, kept)


def changed(kept: float) -> str:
    return f"{100 * (1 - kept):.2g} %" if kept else "100 %"
