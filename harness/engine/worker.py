"""The worker: a program that reads visits, measures, and answers, one JSON line each.

    python -m harness.engine.worker --device cpu

Its real stdin and stdout belong to the protocol alone. Before anything else runs, both are moved out of reach: a layer
that prints writes to stderr, one that reads finds an empty stdin.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

import torch

from harness.case import Case
from harness.declare.visits import CACHE_BYTES
from harness.devices import open_device
from harness.devices.clock import ClockError
from harness.devices.cpu import affinity
from harness.devices.host import Host
from harness.devices.interface import Device, Fact, Fault, NoSuchDevice
from harness.engine.over_ranks import OverRanks
from harness.engine.protocol import Ready, Refused, Request, Result, read, write
from harness.engine.results import result_of
from harness.engine.shelf import Shelf
from harness.layers import build
from harness.layers.interface import Layer, Unsupported
from harness.probes import PROBES, Settings, make_subject
from harness.program import die_first, die_with_parent, take_pipes
from harness.record import ENDS, End, reason_of

REASON_LENGTH = 300
"""Characters of an error's first line that a record holds; the whole of it stands in the journal."""
ENDS_OF: dict[Fault | None, End] = {
    None: "crashed_python", "host memory": "oom_host", "device memory": "oom_device", "device error": "crashed_cuda",
    "device lost": "device_lost", "clock backwards": "clock_backwards", "clock still": "clock_still",
}  # fmt: skip
SPENT: dict[str, str] = {
    "crashed_cuda": "an error of the device spoils all later work of its process",
    "device_lost": "the device is gone",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve visits until stdin closes; return the exit code."""
    options = _parse(arguments)
    requests, answers = take_pipes()
    sys.path[:0] = options.import_from
    die_with_parent()
    die_first()
    faulthandler.enable()  # a crash, or the runner's SIGTERM after a timeout, leaves the stacks on stderr
    faulthandler.register(signal.SIGTERM, chain=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the runner decides
    held = torch.empty(options.hold_bytes, dtype=torch.uint8)  # until the end: what comes after lies elsewhere for it
    try:
        torch.set_num_threads(options.threads or min(torch.get_num_threads(), len(affinity())))
        worker = Worker(open_device(options.device), options.cache_bytes, options.import_from, options.traces)
    except NoSuchDevice as error:
        _send(answers, Refused("NoSuchDevice", str(error)))
        return 5
    facts = {"kind": worker.device.kind, **worker.device.facts(), "torch_build": _torch_build()}
    _send(answers, Ready(os.getpid(), facts))
    own = os.getpid()
    for line in requests:
        request = read(line)
        assert isinstance(request, Request)
        result = worker.visit(request)
        if os.getpid() != own:  # a layer forked, and its child has come back from it: one answer is enough
            os._exit(0)
        _send(answers, result)
    worker.close()
    del held
    return 0


class Worker:
    """Makes visits on one device.

    Args:
        device: What the layers are built on.
        shelf_bytes: Memory for built layers.
        folders: Where stored assignments are looked for.
        traces: Folder for Chrome traces of what is profiled; None: none is kept.
        make: Gives a case's layer on the device, drawn from a seed; None: what `harness.layers` builds.
        lets_through: What ends a visit without a result, where the worker is no process of its own.
    """

    def __init__(
        self,
        device: Device,
        shelf_bytes: int = CACHE_BYTES,
        folders: Sequence[str] = (),
        traces: str | None = None,
        make: Callable[[Case, int], Layer] | None = None,
        lets_through: tuple[type[BaseException], ...] = (),
    ) -> None:
        self.device = device
        self._traces = traces
        self._lets_through = lets_through
        self._host = Host()
        self._over_ranks = OverRanks(device.kind, shelf_bytes, folders, traces)
        self._shelf = Shelf(
            make or (lambda case, seed: build(case, seed=seed, device=device.torch_name)),
            lambda case, layer, seed: make_subject(case, layer, seed=seed, folders=folders),
            shelf_bytes,
        )

    def visit(self, request: Request) -> Result:
        """Make one visit and return what came of it; raises nothing but what it lets through.

        Where memory runs out the shelf is emptied and the visit made once more, so that no case pays for what others
        left there.
        """
        threads = set(threading.enumerate())
        before = self._state()
        result = self._attempt(request)
        if result.status == "oom" and len(self._shelf):
            self._empty_shelf()
            result = self._attempt(request)
        if result.status == "oom":
            self._empty_shelf()
        return replace(
            result,
            before=before,
            state=self._state(),
            spent=SPENT.get(result.end or "") or result.spent or _left_running(threads),
        )

    def _attempt(self, request: Request) -> Result:
        try:
            return self._measure(request)
        except self._lets_through:
            raise
        except BaseException as error:  # a layer may also raise SystemExit
            with suppress(Exception):
                self._shelf.drop(Case.from_dict(request.variant, request.case), int(request.settings["seed"]))
            return _failure(request, error, self.device)

    def _measure(self, request: Request) -> Result:
        start = time.perf_counter()
        case = Case.from_dict(request.variant, request.case)
        if case.expert_parallel > 1:
            return self._over_ranks.visit(request, case)
        settings = Settings(**request.settings, traces=self._traces)  # type: ignore[arg-type]
        subject = self._shelf.subject(case, settings.seed)
        self.device.synchronize()
        built = time.perf_counter()
        outcome = PROBES[request.probe].measure(subject, self.device, settings)
        if outcome.spent is None:
            self.device.synchronize()  # an error that the device reports late is this case's, not the next one's
        done = time.perf_counter()
        times = {"build": round(built - start, 6), "inside": round(done - built, 6)}
        return result_of(request, outcome, subject.layer.remarks, subject.layer.backend, **times)

    def close(self) -> None:
        """End what the visits may have left running: the ranks of layers that are spread over several."""
        self._over_ranks.end()

    def _empty_shelf(self) -> None:
        self._shelf.clear()
        if self.device.kind == "cuda":
            torch.cuda.empty_cache()

    def _state(self) -> dict[str, Fact]:
        try:
            return self._host.state() | self.device.state()
        except Exception as error:  # a device that has gone must not cost the numbers that it gave
            return {"unreadable": _one_line(error)}


def _failure(request: Request, error: BaseException, device: Device) -> Result:
    if isinstance(error, Unsupported):
        reason = _clip(str(error)) or "the layer does not support this case"
        return Result(request.visit, "unsupported", reason=reason, end="unsupported")
    end = ENDS_OF[device.fault(error)]
    detail = "".join(traceback.format_exception(error))
    what = str(error) if isinstance(error, ClockError) else _one_line(error)
    reason = reason_of(end, what=what, where=f"in {request.probe}")
    return Result(request.visit, ENDS[end].status, reason, detail, end=end)


def _left_running(before: set[threading.Thread]) -> str | None:
    """Return what a visit has left running beside the visits to come, in words; None where there is nothing.

    torch keeps threads of its own, for compiled layers and for gradients.
    """
    left = [t for t in threading.enumerate() if t not in before and not _is_torchs(t)]
    return f"a visit has left a thread running ({left[0].name})" if left else None


def _is_torchs(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    module = getattr(target, "__module__", None) or type(thread).__module__
    return isinstance(thread, threading._DummyThread) or module.partition(".")[0] in ("torch", "concurrent", "triton")


def _one_line(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except Exception:  # a layer's own error may fail at its own words
        text = ""
    return _clip(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _clip(text: str) -> str:
    first = text.strip().partition("\n")[0]
    return first if len(first) <= REASON_LENGTH else first[: REASON_LENGTH - 1] + "…"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.engine.worker", description="Serves a runner's visits.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of torch; 0 leaves the choice to torch")
    parser.add_argument("--cache-bytes", type=int, default=CACHE_BYTES, help="memory for built layers")
    parser.add_argument("--hold-bytes", type=int, default=0, help="memory to hold, which moves all that comes after")
    own = "folder of a suite's own code and assignments; repeatable"
    parser.add_argument("--import-from", action="append", default=[], help=own)
    parser.add_argument("--traces", help="folder for Chrome traces of what is profiled; left out: none is kept")
    return parser.parse_args(arguments)


def _torch_build() -> str:
    """Return how torch was built, compiler, libraries and flags, in one line."""
    return "; ".join(part for line in torch.__config__.show().splitlines()[1:] if (part := line.strip(" -,")))


def _send(answers: BinaryIO, message: Ready | Refused | Result) -> None:
    line = memoryview(write(message))
    while line:
        line = line[answers.write(line) :]


if __name__ == "__main__":
    sys.exit(main())
