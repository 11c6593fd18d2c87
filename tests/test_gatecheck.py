"""The session that gates real runs: what it plants is there, and what it says of a gate is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ceilings import keep_ceilings
from tests.gatecheck import drive, session
from tests.gatecheck.drive import Failed, Verdict, gate, measure
from tests.gatecheck.planted import PLANTED, ROOT, SUITE, changed, checkout

METHOD = ROOT / "docs" / "method.md"
SMALL = (
    SUITE.replace("rounds = 12", "rounds = 2\na_a = 0")  # of two rounds on a busy machine cells say nothing
    .replace("seconds_per_visit = 0.05", "seconds_per_visit = 0.001")
    .replace("batch = [1, 8]", "batch = [2]")
    .replace("d_model = 256", "d_model = 64")
    .replace("d_ff = 1024", "d_ff = 128")
    .replace("tokens = 64", "tokens = 48")
)


def verdict(*failures: tuple[str, str], noise: float = 0.02, cleared: int = 0) -> Verdict:
    rows = [{"id": name, "metric": metric, "verdict": "worse"} for name, metric in failures]
    told: dict[str, Any] = {"rows": [{"metric": "latency_ms", "change": {"noise": noise}}], "comparisons": 4}
    told["gate"] = {"failures": rows, "cleared": rows[:1] * cleared}
    return Verdict(int(bool(failures)), rows, rows[:1] * cleared, told)


def test_a_gate_sees_what_was_planted_where_it_names_that_and_nothing_else() -> None:
    copy = PLANTED["copy"]
    assert verdict(("soft-e8", "memory_peak_bytes")).sees(copy)
    assert not verdict().sees(copy)
    assert not verdict(("soft-e8", "memory_peak_bytes"), ("soft-e8", "latency_ms")).sees(copy)
    assert not verdict(("soft-e8", "memory_peak_bytes"), ("top-2-e8", "memory_peak_bytes")).sees(copy)


def test_false_alarms_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = replace(verdict(), code=drive.BLIND)
    answers = iter([verdict(), verdict(("a", "latency_ms")), verdict(("a", "memory_peak_bytes")), blind])
    monkeypatch.setattr(session, "measure", lambda checkout, suite, folder: folder)
    monkeypatch.setattr(drive, "gate", lambda *arguments: next(answers))
    for _ in range(2):  # the second time it goes on with what was kept
        found = [row[1] for row in session.equals(tmp_path, "quick", 4)]
        assert found == ["1 of 4", "2 of 4", "1 of 4", "1 of 4", "0"]


def test_a_paired_run_must_see_half_as_much_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "measure", lambda checkout, suite, folder, *options: folder)

    def answer(checkout: Path, base: Path, candidate: Path, *options: str) -> Verdict:
        change = PLANTED[checkout.name]
        return verdict((f"{change.variant}-1", f"{change.metrics}x"), noise=0.03 if "--paired" in options else 0.05)

    monkeypatch.setattr(session, "gate", answer)
    rows = list(session.planted(tmp_path))
    assert [row[3] for row in rows] == ["met"] * 6 + ["", "missed"]
    assert rows[-1][1:3] == ("3.0 %", "2.5 %")


def test_what_is_planted_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow-down is a matter of many rounds; what has no noise is seen at once, and by real runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    keep_ceilings()
    suite = tmp_path / "small.toml"
    suite.write_text(SMALL, "utf-8")
    sound = checkout(tmp_path / "sound")
    other = changed(sound, tmp_path / "changed", PLANTED["copy"], PLANTED["order"])
    base = measure(sound, suite, tmp_path / "run-sound")
    found = gate(other, base, measure(other, suite, tmp_path / "run-changed"), "--no-again")
    assert found.code == 1
    exact = [row for row in found.failures if row not in found.times]
    for name in ("copy", "order"):
        own = [row for row in exact if row["id"].startswith(PLANTED[name].variant)]
        assert Verdict(1, own, [], {}).sees(PLANTED[name]), own
        exact = [row for row in exact if row not in own]
    assert not exact


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="ended with 2"):
        measure(ROOT, tmp_path / "none.toml", tmp_path / "run")


def test_the_page_has_a_place_for_the_table() -> None:
    assert METHOD.read_text("utf-8").count("<!-- gatecheck: written by `nox -s gatecheck` -->") == 1
