"""A run's journal is all that its records and its report are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.folder import settle
from reports import render
from tests.sweeps import make_plan, measure


def test_the_report_comes_from_the_raw_samples_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "run"
    measure(folder, make_plan("a", "b", "raises", probes='"latency", "determinism"', rounds=3))
    made = ("records.jsonl", "report.html", "summary.md", "junit.xml", "report.json")
    render(folder, html=folder / "report.html")
    before = {name: (folder / name).read_bytes() for name in made}
    for name in made:
        (folder / name).unlink()
    settle(folder)
    render(folder, html=folder / "report.html")
    assert {name: (folder / name).read_bytes() for name in made} == before


def test_a_changed_sample_changes_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "run"
    measure(folder, make_plan("a", "b", rounds=3))
    before = (folder / "records.jsonl").read_bytes()
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text().replace("1.1", "1.7"))
    (folder / "records.jsonl").unlink()
    settle(folder)
    assert (folder / "records.jsonl").read_bytes() != before
