"""Visits to layers that are spread over ranks: who runs the ranks, and what becomes of a visit that lost one.

Ranks of one number serve all cases of that number, from the first visit that asks for them to the worker's end, or to
their own: a visit that lost a rank is that case's, and the next one gets new ranks.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress

import torch

from harness.case import Case
from harness.engine.protocol import Request, Result
from harness.engine.results import result_of
from harness.parallel.lines import Ask
from harness.parallel.ranks import RankLost, Ranks, RanksHang
from harness.record import ENDS, End, reason_of

ENDS_OF: dict[str, End] = {"host memory": "oom_host", "device memory": "oom_device"}
"""What a rank's error is where it is not that rank's alone, by fault."""


class OverRanks:
    """The ranks of one worker, by their number; none before a case asks for them.

    Args:
        device: cpu or cuda.
        cache_bytes: Memory for built layers, of all ranks of one number together.
        folders: Where stored assignments are looked for.
        traces: Folder for Chrome traces; None: none is kept.
    """

    def __init__(self, device: str, cache_bytes: int, folders: Sequence[str], traces: str | None) -> None:
        self._device, self._cache_bytes, self._folders, self._traces = device, cache_bytes, folders, traces
        self._ranks: dict[int, Ranks] = {}

    def visit(self, request: Request, case: Case) -> Result:
        """Make one visit and return what came of it."""
        count = case.expert_parallel
        ask = Ask(request.variant, request.case, request.probe, request.settings)
        seconds = float(request.settings["timeout"])
        try:
            told = self._of(count).ask(ask, seconds)
        except RanksHang as hang:
            self._drop(count)
            return _ended(request, "timeout_rank", seconds=seconds, ranks=count, missing=_named(hang.missing))
        except RankLost as lost:
            self._drop(count)
            return _lost(request, count, lost)
        remarks = [*told.remarks, *self._crowd(count)]
        return result_of(request, told.read_outcome(), remarks, told.backend, build=told.build, inside=told.inside)

    def end(self) -> None:
        """End all ranks."""
        for count in list(self._ranks):
            self._drop(count)

    def _of(self, count: int) -> Ranks:
        if count not in self._ranks:
            threads = max(1, torch.get_num_threads() // count)
            own = self._cache_bytes // count
            self._ranks[count] = Ranks(count, self._device, threads, own, self._folders, self._traces)
        return self._ranks[count]

    def _drop(self, count: int) -> None:
        if count in self._ranks:
            self._ranks.pop(count).end()

    def _crowd(self, count: int) -> list[str]:
        """Return a remark where ranks must share cores: their times say nothing of as many devices."""
        if self._device != "cpu" or count <= torch.get_num_threads():
            return []
        cores = torch.get_num_threads()
        shared = "one core" if cores == 1 else f"{cores} cores"
        return [f"{count} ranks share {shared}: their time is not that of {count} devices"]


def _lost(request: Request, count: int, lost: RankLost) -> Result:
    """Return what became of a visit that lost a rank: by the word that it left, else by how it ended."""
    failure = lost.failure
    if failure is None:
        rank = "?" if lost.rank is None else lost.rank
        return _ended(request, "crashed_rank", rank=rank, ranks=count, what=_how(lost.code))
    if failure.kind == "unsupported":
        return Result(request.visit, "unsupported", reason=failure.what, end="unsupported")
    end = ENDS_OF.get(failure.fault or "", "crashed_rank")
    what = f"raised {failure.what}" if end == "crashed_rank" else f"rank {failure.rank} of {count}: {failure.what}"
    return _ended(request, end, failure.detail, rank=failure.rank, ranks=count, what=what)


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    with suppress(ValueError):
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"was killed by signal {-code}"


def _named(ranks: Sequence[int]) -> str:
    return f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"


def _ended(request: Request, end: End, detail: str | None = None, **facts: object) -> Result:
    reason = reason_of(end, where=f"in {request.probe}", **facts)
    return Result(request.visit, ENDS[end].status, reason, detail, end=end)
