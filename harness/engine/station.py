"""The seam between a run and what measures for it: a station is one device, and whoever keeps a worker on it.

`Keeper` is the one on this machine. Anything that answers these three calls can be another: on a node of a cluster, it
passes them on to a keeper there.
"""

from __future__ import annotations

from typing import Protocol

from harness.engine.keeper import Answer
from harness.engine.protocol import Request


class StationLost(Exception):
    """The device, or the machine that it is in, has gone; the message says how. What it was asked for is not known."""


class Station(Protocol):
    """One device; asked by one thread."""

    name: str | None
    """Which of the run's devices, as `cuda:1`; None where there is one."""

    def ask(self, request: Request, timeout: float) -> Answer:
        """Return what came of a visit, whatever it does to the worker.

        Raises:
            StationLost: The device has gone.
            NoSuchDevice: The worker's torch has no such device.
            WorkerFailed: No worker can be started.
            Interrupted: The run is to stop.
        """

    def end(self, *, politely: bool = False) -> None:
        """End the worker, if there is one: the next visit finds a new one."""

    def close(self, *, politely: bool = False) -> None:
        """End the worker, and start no more."""
