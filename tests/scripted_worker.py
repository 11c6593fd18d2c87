"""A worker without torch that speaks the protocol; the name of a case's variant says what befalls its visits.

    python -m tests.scripted_worker LOG [options of the real worker]

It notes every visit that it answers in LOG, one line each, so that a test can see what was measured twice.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.declare.rounds import LABEL
from harness.devices.interface import Fact
from harness.engine.protocol import Ready, Refused, Request, Result, read, write

LATENCY_MS = (1.0, 1.2, 1.1)
VISITED: list[str] = []
"""Variants of the latency visits that this worker has made."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = Path(sys.argv[1])
    leaked: list[bytes] = []
    if (log.parent / "refuse").exists():
        say(Refused("NoSuchDevice", "no CUDA device: scripted"))
        sys.exit(5)
    if (log.parent / "broken").exists():
        sys.exit("ImportError: scripted")
    say(Ready(os.getpid(), {"kind": "cpu", "name": "scripted", "threads": 1, "memory_bytes": 1 << 30}))
    for line in sys.stdin.buffer:
        request = read(line)
        assert isinstance(request, Request)
        if request.probe == "latency":
            befall(request, log.parent)
        if request.variant == "leaks":
            leaked.append(b"x" * (120 << 20))
        with log.open("a") as file:
            file.write(f"{request.variant} {request.probe} {os.getpid()}\n")
        say(answer(request, log.parent))


def say(message: Ready | Refused | Result) -> None:
    os.write(1, write(message))


def answer(request: Request, folder: Path) -> Result:
    back = (folder / "device-is-back").exists()
    if (
        request.variant == "device-lost"
        and not back
        and (request.probe == "latency" or (folder / "lost-at-check").exists())
    ):
        reason = "the device was lost: CUDA error: scripted"
        return Result(request.visit, "crashed", reason, "Traceback: scripted", end="device_lost", spent="it is gone")
    if request.variant == "full" and request.case["batch"] >= 8:
        return Result(request.visit, "oom", "out of memory on the host: scripted", "Traceback: scripted")
    if request.variant == "oom-once" and request.probe == "memory" and not (folder / "full").exists():
        (folder / "full").touch()
        return Result(request.visit, "oom", "out of memory on cpu: scripted")
    if request.probe == "latency" and request.variant == "oom":
        return Result(request.visit, "oom", "out of memory on cpu: scripted", "Traceback: scripted")
    if request.variant == "twin-fails" + LABEL:
        return Result(request.visit, "oom", "out of memory on cpu: scripted", "Traceback: scripted")
    if request.variant == "twin-lost" + LABEL and not back:
        reason = "the device was lost: CUDA error: scripted"
        return Result(request.visit, "crashed", reason, "Traceback: scripted", end="device_lost", spent="it is gone")
    if request.probe == "latency" and request.variant == "raises":
        return Result(request.visit, "crashed", "ValueError: scripted", "Traceback: scripted")
    if request.probe == "check" and request.variant == "wrong":
        return Result(request.visit, "incorrect", "the output differs")
    values: dict[str, float | int | str | list[float]] = {}
    if request.probe == "latency":
        values["latency_ms"] = [0.0] if request.variant == "no-time" else latency(request)
    if request.probe == "determinism":
        values |= {"det_run": 1.0, "det_run_cause": "none"}
    before: dict[str, Fact] = {"load_per_core": 0.1}
    spent = "it left a thread" if request.variant == "spent" else None
    state: dict[str, Fact] = {"load_1min": 0.5}
    if request.variant == "disturbed" and request.probe == "latency":
        state = {"others_percent": 40.0, "core_seconds": 2.0}
    return Result(
        request.visit, "ok", values=values, n={"det_run": 16}, backend="fused", state=state, before=before, spent=spent
    )


def latency(request: Request) -> list[float]:
    """Return the samples of a visit; what A/A cells look at is planted here, by the variant's name and label."""
    name = request.variant.removesuffix(LABEL)
    earlier = VISITED.count(name)
    VISITED.append(name)
    draw = random.Random(f"{name} {request.visit}")
    factor = 1.0
    if name.startswith(("noisy", "label", "tires")):
        factor = math.exp(draw.gauss(0, 0.2 if name == "noisy-much" else 0.005))
    if name == "label" and request.variant != name:  # slower under its second label
        factor *= 1.2
    if name == "tires":  # slower whenever it was visited before in its process
        factor *= 1.2**earlier
    return [factor * sample for sample in LATENCY_MS]


def befall(request: Request, folder: Path) -> None:
    """Do what the variant's name says."""
    match request.variant:
        case "killed-then-mended" if (folder / "broken-layer").exists():
            os._exit(1)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(600)
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            (folder / "child").write_text(str(child.pid))
            time.sleep(600)
        case "exits":
            os._exit(0)
        case "rubbish":
            os.write(1, b"rubbish that is no answer\n")
        case "orphan":
            subprocess.Popen(["sleep", "600"])  # holds the pipe open when its parent is gone
            os._exit(3)
        case "daemon":
            daemon = "import os, sys\nif os.fork(): sys.exit()\nos.setsid()\nif os.fork(): sys.exit()\n"
            daemon += f"open({str(folder / 'child')!r}, 'w').write(str(os.getpid()))\nimport time; time.sleep(600)"
            subprocess.run([sys.executable, "-c", daemon], env={}, check=True)
            while not (folder / "child").exists() or not (folder / "child").read_text():
                time.sleep(0.01)
        case "eats":
            eat()
        case "child-eats":
            code = "x = []\nwhile True: x.append(b'x' * (10 << 20))"
            subprocess.run([sys.executable, "-c", code], check=False)
        case "killed-once" if not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case "refused-later" if not (folder / "refused").exists():
            (folder / "refused").touch()
            (folder / "refuse").touch()
            os._exit(0)
        case "waits":
            (folder / "waiting").touch()
            while not (folder / "go").exists():
                time.sleep(0.01)


def eat() -> None:
    """Fill memory without end, 10 MB at a time."""
    eaten = []
    while True:
        eaten.append(b"x" * (10 << 20))
        time.sleep(0.005)


if __name__ == "__main__":
    main()
