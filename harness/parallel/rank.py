"""A rank: a program that makes visits together with the others; rank 0 speaks for all of them.

Torch's elastic agent starts it (`agent.py`). An error in one rank ends that rank, which leaves word of it; the others
fail at the next meeting, and wait there for the agent to end them, so that the first to end is the one to blame.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import time
import traceback
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import torch
import torch.distributed as dist

from harness.case import Case
from harness.declare.costs import cost
from harness.declare.exchange import Link
from harness.devices import open_device
from harness.layers.exchange import Exchange
from harness.layers.interface import Unsupported
from harness.parallel.control import FOREVER, Control
from harness.parallel.device import RankDevice
from harness.parallel.lines import Ask, Failure, Told, Up, read, write
from harness.parallel.link import measure_link
from harness.parallel.measure import measure
from harness.parallel.pulse import Pulse
from harness.parallel.subject import RankSubject, rank_subject
from harness.parallel.together import Together
from harness.probes.outcome import Settings
from harness.program import die_first, die_with_parent, take_pipes
from harness.recent import Recent

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
FAILURE = "failure-{rank}.json"
"""Where a rank leaves word of its error, in the folder that it shares with its owner."""
PATIENCE_S = 30.0
"""How long a rank that lost another waits to be ended."""
LOST_A_PEER = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "NCCL")
"""How torch words that another rank has gone."""


def main() -> int:
    """Serve visits until rank 0's stdin closes; return the exit code."""
    options = _parse()
    requests, answers = take_pipes()
    sys.path[:0] = options.import_from
    die_with_parent()
    die_first()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(options.threads)
    rank = int(os.environ["RANK"])
    if options.device == "cuda":
        _see_own_gpu()
    dist.init_process_group(BACKENDS[options.device], timeout=FOREVER)
    ranks = Rank(options, rank)
    try:
        ranks.serve(requests, answers)
    except BaseException as error:
        _leave_word(options.folder, rank, error, ranks)
        os._exit(1)  # nothing of what others may be waiting in is to be tidied up
    dist.destroy_process_group()
    return 0


class Rank:
    """One rank, from its start to the end of its owner's visits."""

    def __init__(self, options: argparse.Namespace, rank: int) -> None:
        pulse = Pulse(options.folder, dist.get_world_size())
        self._folders, self._traces = tuple(options.import_from), options.traces if rank == 0 else None
        self._come = lambda: pulse.come(rank)
        self._control = Control(self._come)
        self.device = RankDevice(open_device(options.device), self._control)
        self._exchange = Exchange(come=self._come)
        self._subjects: Recent[RankSubject] = Recent(options.cache_bytes)

    def serve(self, requests: BinaryIO, answers: BinaryIO) -> None:
        """Make every visit that the owner asks for; return when it asks for no more."""
        first = self._control.rank == 0
        pids = self._control.gather(torch.tensor([os.getpid()])).flatten().tolist()
        if first:
            answers.write(write(Up(pids)))
        while line := self._control.share(requests.readline() if first else b""):
            ask = read(line)
            assert isinstance(ask, Ask)
            told = self._visit(ask)
            if first:
                answers.write(write(told))

    def _visit(self, ask: Ask) -> Told:
        start = time.perf_counter()
        case = Case.from_dict(ask.variant, ask.case)
        settings = Settings(**ask.settings, traces=self._traces)  # type: ignore[arg-type]
        subject = self._subject(case, settings.seed)
        self._control.meet()
        built = time.perf_counter()
        together = Together(case, subject, self.device, settings, self._control, lambda: self._link, self._folders)
        outcome = measure(ask.probe, together)
        self.device.synchronize()
        self._control.meet()
        inside = time.perf_counter() - built
        return Told(outcome, subject.layer.backend, subject.layer.remarks, round(built - start, 6), round(inside, 6))

    @cached_property
    def _link(self) -> Link | None:
        return measure_link(self._exchange, self.device)

    def _subject(self, case: Case, seed: int) -> RankSubject:
        key = f"{case.key}:{seed}"
        subject = self._subjects.get(key)
        if subject is None:
            size = cost(case).memory_needed // self._control.ranks
            self._subjects.make_room(size)
            subject = rank_subject(
                case, seed, self._folders, self._exchange, self.device.torch_name, self._control.meet
            )
            self._subjects.put(key, subject, size)
        subject.drop_gradients()
        return subject


def _see_own_gpu() -> None:
    """Leave this rank one GPU to see, which is then the first one for torch and for NVML; before CUDA starts."""
    local = int(os.environ["LOCAL_RANK"])
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = str(local) if listed is None else listed.split(",")[local].strip()


def _leave_word(folder: Path, rank: int, error: BaseException, ranks: Rank) -> None:
    """Write down the error, or wait to be ended where it is another rank's."""
    detail = "".join(traceback.format_exception(error))
    sys.stderr.write(detail)
    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in LOST_A_PEER):
        time.sleep(PATIENCE_S)
        return
    refused = isinstance(error, Unsupported)
    words = (str(error) if refused else f"{type(error).__name__}: {error}").partition("\n")[0]
    failure = Failure(rank, ranks.device.fault(error), "unsupported" if refused else "error", words, detail)
    (folder / FAILURE.format(rank=rank)).write_bytes(write(failure))


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="python -m harness.parallel.rank", description="One rank of a worker's.")
    parser.add_argument("folder", type=Path, help="what the ranks and their owner share")
    parser.add_argument("--device", choices=tuple(BACKENDS), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument("--cache-bytes", type=int, required=True, help="memory for built layers")
    parser.add_argument("--import-from", action="append", default=[], help="folder of assignments; repeatable")
    parser.add_argument("--traces", help="folder for Chrome traces; left out: none is kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
