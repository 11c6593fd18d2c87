"""Tails and outliers of a case's samples, against numbers that were counted by hand and planted outliers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.case import Case
from reports.read import read_run
from reports.review import Review, review
from reports.words import plain
from tests import fake_run

ROUNDS = 6
CASE = fake_run.make_case("dense", "dense")


def made(folder: Path, samples: list[float]) -> Review:
    """Return the review of a run of one case, in every round of which these samples were taken."""
    middle = float(np.median(samples))

    def edit(_: Case, record: dict[str, Any]) -> dict[str, Any]:
        latency = {"value": middle, "low": middle, "high": middle, "n": ROUNDS, "rounds": [middle] * ROUNDS}
        return record | {"metrics": record["metrics"] | {"latency_ms": latency}}

    run = fake_run.write_run(folder / "run", [CASE], edit=edit)
    key = json.loads((run / "records.jsonl").read_text("utf-8").splitlines()[0])["key"]
    visit = {"key": key, "probe": "latency", "status": "ok", "seconds": 0.1, "values": {"latency_ms": samples}}
    lines = [json.dumps(visit | {"round": number}) for number in range(ROUNDS)]
    (run / "journal.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return review(read_run(run))


def tails(page: Review) -> list[str]:
    return [note for note in page.cases.rows[0].notes if "samples took" in note]


def test_the_tail_is_told_as_far_as_there_are_samples(tmp_path: Path) -> None:
    few, some, many = ([1.0 + 0.01 * place for place in range(size)] for size in (1, 3, 25))
    assert tails(made(tmp_path / "few", few)) == []
    assert tails(made(tmp_path / "some", some)) == ["90 % of 18 samples took at most 1.02 ms"]
    far = float(np.percentile(many * ROUNDS, 99, method="inverted_cdf"))
    assert tails(made(tmp_path / "many", many)) == [
        f"90 % of 150 samples took at most 1.22 ms and 99 % of 150 samples took at most {far:.2f} ms"
    ]


@pytest.mark.parametrize(("beyond", "words"), [(0, "none lie"), (1, "6 lie")])
def test_outliers_are_counted_and_kept(tmp_path: Path, beyond: int, words: str) -> None:
    samples = [1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06] + [9.0] * beyond
    page = made(tmp_path, samples)
    assert page.noise.rounds is not None
    assert f"Of {6 * len(samples)} samples {words} further than 1.5 times" in plain(page.noise.rounds.finding)
    (strip,) = page.noise.rounds.strips
    assert sum(map(len, strip.samples)) == 6 * len(samples), "none is left out of the picture"


def test_without_a_journal_nothing_is_said_of_samples(tmp_path: Path) -> None:
    page = review(read_run(fake_run.write_run(tmp_path / "run", [CASE])))
    assert tails(page) == []
    assert page.noise.rounds is None or "samples" not in plain(page.noise.rounds.finding)
