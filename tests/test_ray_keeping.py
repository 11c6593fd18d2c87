"""The actor's side of a Ray cluster, without Ray: what it says of its device, and what it leaves on its node."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from harness.engine.ray_keeping import Keeping, shared_variables

PROGRAM = """
import sys
from harness.engine.protocol import Ready, write
sys.stdout.buffer.write(write(Ready(1, {"kind": "cpu"})))
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_actor_that_only_says_what_it_is_leaves_nothing(room: Path) -> None:
    with mock.patch.dict(os.environ):  # it takes the runner's variables over
        told = json.loads(Keeping().describe("cpu", 1, shared_variables()))
    assert {"class", "device", "environment", "harness", "memory_bytes"} <= told.keys()
    assert not list(room.iterdir())


def test_a_workers_folder_goes_when_the_actor_is_closed(room: Path) -> None:
    (room / "worker.py").write_text(PROGRAM)
    program = [sys.executable, str(room / "worker.py")]
    options = {"threads": 1, "cache_bytes": 1 << 20, "memory_bytes": None, "program": program}
    said = {"kind": "cpu", "import_from": [], "seed": 0, "first_worker": 1, "options": options}
    actor = Keeping()
    try:
        told = json.loads(actor.begin(json.dumps(said)))
        assert told["ready"]["device"] == {"kind": "cpu"}
        assert [path.name.startswith("moe-harness-node-") for path in room.iterdir() if path.is_dir()] == [True]
    finally:
        actor.close(politely=True)
    assert [path.name for path in room.iterdir()] == ["worker.py"]
