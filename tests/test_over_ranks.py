"""Ranks that hang or end: the record names the rank, the sweep goes on, and no process is left."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.case import Case
from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.engine import over_ranks
from harness.engine.over_ranks import OverRanks
from harness.engine.process import WorkerProcess
from harness.engine.protocol import Request, Result
from harness.engine.runner import run
from harness.parallel import folder
from harness.parallel.lines import Failure, Told
from harness.parallel.ranks import RankLost, Ranks
from tests.cases import token_choice

CASE = token_choice(expert_parallel=2)


def _failed(kind: str, fault: str | None) -> RankLost:
    return RankLost(1, 1, Failure(1, fault, kind, "planted", "Traceback"))


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[OverRanks]:
    monkeypatch.setattr(over_ranks, "Ranks", partial(Ranks, program="tests.spread_rank"))
    owner = OverRanks("cpu", 1 << 28, (), None)
    yield owner
    owner.end()
    assert not psutil.Process().children(recursive=True)


def visit(owner: OverRanks, probe: str, timeout: float = 60.0, case: Case = CASE) -> Result:
    settings: dict[str, float | int] = {"seconds_per_visit": 0.002, "min_samples": 2, "seed": 0, "timeout": timeout}
    return owner.visit(Request(7, case.variant, case.as_dict(), probe, settings), case)


def test_a_rank_that_hangs_is_named_and_the_next_visit_gets_new_ranks(owner: OverRanks) -> None:
    result = visit(owner, "stops", timeout=3.0)
    assert (result.status, result.end) == ("timeout", "timeout_rank")
    assert result.reason == "no answer within 3 s, in stops: of 2 ranks, rank 1 did not come; all were ended"
    assert not psutil.Process().children(recursive=True)
    assert visit(owner, "check").status == "ok"


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("dies", "rank 1 of 2 was killed by signal 9 (SIGKILL), in dies; all were ended"),
        ("fails", "rank 1 of 2 raised ValueError: planted, in fails; all were ended"),
    ],
)
def test_a_rank_that_ends_is_named(owner: OverRanks, probe: str, words: str) -> None:
    result = visit(owner, probe)
    assert (result.visit, result.status, result.reason) == (7, "crashed", words)
    assert not psutil.Process().children(recursive=True)
    if probe == "fails":
        assert "ValueError: planted" in str(result.detail)


@pytest.mark.parametrize(
    ("lost", "status", "words"),
    [
        (RankLost(1, 3, None), "crashed", "rank 1 of 2 exited with code 3, in flops; all were ended"),
        (RankLost(None, -11, None), "crashed", "rank ? of 2 was killed by signal 11 (SIGSEGV), in flops"),
        (_failed("error", "host memory"), "oom", "out of memory on the host, in flops: rank 1 of 2: planted"),
        (_failed("error", "device memory"), "oom", "out of memory on the device, in flops: rank 1 of 2: planted"),
        (_failed("unsupported", None), "unsupported", "planted"),
    ],
)
def test_what_a_lost_rank_left_says_how_the_case_ended(
    monkeypatch: pytest.MonkeyPatch, lost: RankLost, status: str, words: str
) -> None:
    monkeypatch.setattr(over_ranks, "Ranks", partial(Scripted, lost))
    owner = OverRanks("cpu", 1 << 28, (), None)
    result = visit(owner, "flops")
    assert result.status == status
    assert str(result.reason).startswith(words)
    assert Scripted.ended


class Scripted:
    """Ranks that are lost in every visit."""

    ended = False

    def __init__(self, lost: RankLost, *_: object) -> None:
        self._lost = lost
        Scripted.ended = False

    def ask(self, *_: object) -> Told:
        raise self._lost

    def end(self) -> None:
        Scripted.ended = True


def test_ranks_that_share_cores_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    owner = OverRanks("cpu", 1 << 28, (), None)
    assert owner._crowd(2) == []
    assert owner._crowd(4) == ["4 ranks share 2 cores: their time is not that of 4 devices"]
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert owner._crowd(2) == ["2 ranks share one core: their time is not that of 2 devices"]


SUITE = """
title = "Ranks"
[base]
d_model = 32
d_ff = 64
experts = 4
batch = 2
tokens = 16
[[variant]]
name = "top-2"
layer = "token_choice"
sweep.expert_parallel = [2, 1]
[[variant]]
name = "soft"
layer = "soft"
expert_parallel = 2
[measure]
probes = ["exchange"]
"""


def test_a_sweep_that_loses_a_rank_goes_on_and_leaves_no_process(tmp_path: Path) -> None:
    killer = threading.Thread(target=_kill_rank_1)
    killer.start()
    result = run(plan(parse_suite(SUITE)), tmp_path, device_kind="cpu")
    killer.join()
    assert not psutil.Process().children(recursive=True)
    records: dict[tuple[str, int], Any] = {
        (record.variant, record.case.get("expert_parallel", 1)): record for record in result.records
    }
    lost = records["top-2", 2]
    assert lost.status == "crashed"
    assert lost.reason.startswith("rank 1 of 2 was killed by signal 9 (SIGKILL), in ")
    assert records["top-2", 1].status == records["soft", 2].status == "ok"
    assert "exchange_bytes" in records["soft", 2].metrics
    assert "exchange_bytes" not in records["top-2", 1].metrics


@pytest.mark.parametrize("politely", [False, True])
def test_a_worker_that_is_killed_leaves_no_folder_of_its_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, politely: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    others = folder.make(os.getpid())
    program = "import os, time; from harness.parallel import folder; folder.make(os.getpid()); time.sleep(60)"
    worker = WorkerProcess([sys.executable, "-c", program], tmp_path / "log", lambda: False)
    deadline = time.monotonic() + 30
    while not (made := list(tmp_path.glob(f"moe-ranks-{worker.pid}-*"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert made
    worker.end(politely=politely)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [others]


def _kill_rank_1(patience: float = 60.0) -> None:
    """Kill the first process that is rank 1, once it has begun to be one."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            try:
                if "harness.parallel.rank" in process.cmdline() and process.environ().get("RANK") == "1":
                    os.kill(process.pid, signal.SIGKILL)
                    return
            except psutil.Error:
                continue
        time.sleep(0.05)
