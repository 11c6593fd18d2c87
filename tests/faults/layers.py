"""Faulty layers: what a visit's forward pass may do to the process that it runs in.

A variant of the suite bears a fault's name; with `-when-timed` behind it the fault waits for the latency rounds, when
the case already has numbers to lose.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.layers.interface import Layer

TIMED = "-when-timed"
LEAK_BYTES = 100_000_000
ENOUGH_BYTES = 12_000_000_000
"""Where a layer that eats memory stops by itself: nobody has stopped it, and the machine is not ours alone."""
FOREVER_S = 3600.0


@dataclass(slots=True)
class Moment:
    """The visit at hand, which a layer by itself would not know."""

    visit: int = -1
    probe: str = ""
    done: set[str] = field(default_factory=set)
    """What a fault does once in a visit, or once in a process, and has done."""

    def first(self, what: str) -> bool:
        """Whether `what` is done for the first time."""
        new = what not in self.done
        self.done.add(what)
        return new


Forward = Callable[[Tensor], Tensor]
Fault = Callable[[Forward, Tensor, Moment], Tensor]


def make_faulty(layer: Layer, moment: Moment) -> Layer:
    """Return `layer` with the fault that its variant is named after, if it is named after one."""
    variant = layer.case.variant
    name = variant.removesuffix(TIMED)
    if name in FAULTS:
        sound, fault, waits = layer.forward, FAULTS[name], variant.endswith(TIMED)

        def forward(x: Tensor) -> Tensor:
            return sound(x) if waits and moment.probe != "latency" else fault(sound, x, moment)

        layer.forward = forward  # type: ignore[method-assign]
    return layer


def segfaults(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    ctypes.string_at(0)
    raise AssertionError("a read of address 0 went well")


def hangs(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(FOREVER_S)


def eats_memory(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    eaten = [torch.ones(1 << 26, dtype=torch.uint8) for _ in range(ENOUGH_BYTES >> 26)]
    raise AssertionError(f"nobody stopped a layer that holds {sum(map(len, eaten))} bytes")


def exits(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    os._exit(0)


def writes_rubbish(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    os.write(1, b'rubbish\n{"type": "result"}\n\xff\x00')
    print("more rubbish", flush=True)
    ctypes.CDLL(None).puts(b"and some by way of C")
    ctypes.CDLL(None).fflush(None)
    sys.stdin.read()
    return sound(x)


def forks(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    if moment.first("forked") and os.fork() == 0:
        _live_on()
    return sound(x)


def forks_twice(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    """Leave a grandchild that has a session of its own and no parent, as a daemon has."""
    if moment.first("forked twice"):
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                _live_on()
            os._exit(0)
        os.waitpid(child, 0)
    return sound(x)


def leaks(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    if moment.first(f"leaked in visit {moment.visit}"):
        _LEAKED.append(b"\x01" * LEAK_BYTES)
    return sound(x)


def returns_nan(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    return sound(x) * float("nan")


def returns_another_shape(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    return sound(x).flatten(0, 1)


def sleeps_on_a_thread(sound: Forward, x: Tensor, moment: Moment) -> Tensor:
    if moment.first("slept"):
        threading.Thread(target=time.sleep, args=(FOREVER_S,)).start()
    return sound(x)


def _live_on() -> None:
    while True:
        time.sleep(FOREVER_S)


_LEAKED: list[bytes] = []

FAULTS: dict[str, Fault] = {
    "segfaults": segfaults,
    "hangs": hangs,
    "eats-memory": eats_memory,
    "exits": exits,
    "writes-rubbish": writes_rubbish,
    "forks": forks,
    "forks-twice": forks_twice,
    "leaks": leaks,
    "returns-NaN": returns_nan,
    "returns-another-shape": returns_another_shape,
    "sleeps-on-a-thread": sleeps_on_a_thread,
}
OUTPUT_FAULTS = ("returns-NaN", "returns-another-shape")
"""Faults of the output, which is looked at before a case is timed, and not while it is."""
EVERY_FAULT = [*FAULTS, *(name + TIMED for name in FAULTS if name not in OUTPUT_FAULTS)]
"""The variants of a sweep that has all of them."""
