"""Set-up: drawn for each worker, seen by it, and recorded."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from harness.engine.folder import read_run
from harness.engine.process import WorkerProcess
from harness.engine.setup import GRAIN, MOST_HELD, MOST_PADDING, PADDING, Setup
from harness.engine.worker import _parse
from tests.sweeps import make_plan, measure


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    return tmp_path / "run"


def test_workers_differ_and_the_seed_repeats_them() -> None:
    drawn = [Setup.draw(0, worker) for worker in range(50)]
    assert drawn == [Setup.draw(0, worker) for worker in range(50)]
    assert Setup.draw(1, 0) != drawn[0]
    for name in ("hash_seed", "padding_bytes", "held_bytes"):
        assert len({getattr(setup, name) for setup in drawn}) > 45, name
    assert all(setup.padding_bytes < MOST_PADDING and setup.held_bytes < MOST_HELD for setup in drawn)
    assert all(setup.held_bytes % GRAIN == 0 for setup in drawn)


def test_the_users_own_hash_seed_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert Setup.draw(0, 3).hash_seed == 7
    assert Setup.draw(0, 3).environment(os.environ)["PYTHONHASHSEED"] == "7"
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    drawn = Setup.draw(0, 3)
    assert drawn.environment(os.environ)["PYTHONHASHSEED"] == str(drawn.hash_seed)


def test_every_round_has_a_set_up_of_its_own_in_the_journal(folder: Path) -> None:
    measure(folder, make_plan("a", "b", rounds=3))
    by_worker: dict[int | None, set[str]] = {}
    for line in read_run(folder).lines:
        by_worker.setdefault(line.worker, set()).add(json.dumps(line.setup))
    assert len(by_worker) == 4
    assert all(len(setups) == 1 for setups in by_worker.values())
    setups = [json.loads(setup) for setups in by_worker.values() for setup in setups]
    assert [setup["worker"] for setup in setups] == [0, 1, 2, 3]
    assert all(len({setup[name] for setup in setups}) == 4 for name in ("hash_seed", "padding_bytes", "held_bytes"))


def test_a_resumed_run_goes_on_drawing(folder: Path) -> None:
    chosen = make_plan("a", rounds=2)
    measure(folder, chosen)
    journal = folder / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    measure(folder, chosen, resume=True)
    assert [line.setup["worker"] for line in read_run(folder).lines] == [0, 1, 2]


def test_a_worker_sees_what_was_drawn_for_it(tmp_path: Path) -> None:
    program = "import json, os, sys; print(json.dumps([os.environ['PYTHONHASHSEED'], len(os.environ[%r])]), flush=True)"
    setup = Setup.draw(0, 5)
    command = [sys.executable, "-S", "-c", program % PADDING, *setup.arguments]
    process = WorkerProcess(command, tmp_path / "log", lambda: False, None, setup.environment({"PATH": ""}))
    try:
        assert json.loads(process._line(float("inf"))) == [str(setup.hash_seed), setup.padding_bytes]
    finally:
        process.end()
    assert _parse(setup.arguments).hold_bytes == setup.held_bytes
