"""The real worker, with faulty layers among the sound ones, and a scripted GPU where one is asked for.

A witness notes every visit as it begins and ends:

    python -c PROGRAM LOG [options of the real worker]

The witness is what the journal is held against: it sees what was measured, whether or not it was kept.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.case import Case
from harness.devices import open_device
from harness.engine import worker
from harness.engine.protocol import Request, Result
from harness.layers import build
from harness.layers.interface import Layer
from tests.faults.gpu import ScriptedGpu
from tests.faults.layers import Moment, make_faulty
from tests.faults.luck import UnluckyClock

MOMENT = Moment()
CLOCK = UnluckyClock()


class Witnessed(worker.Worker):
    """Notes `begin VISIT` before each visit and `end VISIT` after it."""

    log: Path
    gpu: ScriptedGpu

    def visit(self, request: Request) -> Result:
        MOMENT.visit, MOMENT.probe = request.visit, request.probe
        self.gpu.rest()
        CLOCK.rest()
        self._note("begin", request.visit)
        result = super().visit(request)
        self._note("end", request.visit)
        return result

    def _note(self, what: str, visit: int) -> None:
        file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(file, f"{what} {visit} {os.getpid()}\n".encode())  # one write: a line is never torn
        os.close(file)


def main() -> int:
    Witnessed.log = Path(sys.argv[1])
    gpu = Witnessed.gpu = ScriptedGpu(Witnessed.log, MOMENT)
    on_gpu = "cuda" in sys.argv

    def build_faulty(case: Case, *, seed: int = 0, device: str = "cpu") -> Layer:
        layer = build(case, seed=seed, device=device)
        return gpu.load(layer) if on_gpu else CLOCK.load(make_faulty(layer, MOMENT), MOMENT)

    worker.Worker = Witnessed  # type: ignore[misc]
    worker.build = build_faulty  # type: ignore[attr-defined]
    worker.open_device = lambda kind: gpu.device() if on_gpu else open_device(kind)  # type: ignore[attr-defined]
    return worker.main(sys.argv[2:])
