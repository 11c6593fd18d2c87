"""A station on a node of a Ray cluster: the runner's side, which passes each visit on to a keeper there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray

from harness.engine.keeper import START_ATTEMPTS, VISIT_ATTEMPTS, Answer
from harness.engine.process import START_TIMEOUT_S, Interrupted, Stopped
from harness.engine.protocol import Ready, Request, Result, write
from harness.engine.ray_keeping import ERRORS
from harness.engine.setup import Setup
from harness.engine.station import StationLost

LOOK_S = 0.25
"""How often a wait looks whether the run is to stop."""
CLOSE_S = 20.0
"""What a node may take to end its worker; Ray then ends the actor, and Linux the worker with it."""


class RayStation:
    """One device of a cluster.

    Args:
        name: Of the device.
        actor: The keeper on its node.
        terms: What its workers are started with, for `Keeping.begin`.
        stopped: Whether the run is to stop.
        greeted: Is told of each worker's greeting.
    """

    def __init__(self, name: str, actor: Any, terms: str, stopped: Stopped, greeted: Callable[[Ready], None]) -> None:
        self.name: str | None = name
        self._actor = actor
        self._terms: str | None = terms
        self._stopped = stopped
        self._greeted = greeted

    def ask(self, request: Request, timeout: float) -> Answer:
        """Return what came of a visit.

        Raises:
            StationLost: The node has gone, or does not answer.
            NoSuchDevice, WorkerFailed, Interrupted: As the keeper there raises them.
        """
        if self._terms is not None:
            self._told(self._actor.begin.remote(self._terms), START_ATTEMPTS * START_TIMEOUT_S)
            self._terms = None
        limit = VISIT_ATTEMPTS * (timeout + START_ATTEMPTS * START_TIMEOUT_S)
        told = self._told(self._actor.ask.remote(write(request), timeout), limit)
        return _answer(told["answer"])

    def end(self, *, politely: bool = False) -> None:
        """End the worker there; the next visit finds a new one."""
        with suppress(StationLost):
            self._wait(self._actor.end.remote(politely), CLOSE_S)

    def close(self, *, politely: bool = False) -> None:
        """End the worker and the actor."""
        with suppress(ray.exceptions.RayError):
            ray.get(self._actor.close.remote(politely), timeout=CLOSE_S)
        with suppress(Exception):  # Ray itself may have gone
            ray.kill(self._actor)

    def _told(self, reference: Any, limit: float) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._wait(reference, limit))
        if told["ready"] is not None:
            self._greeted(Ready(**told["ready"]))
        if "error" in told:
            raise ERRORS[told["error"]](told["reason"])
        return told

    def _wait(self, reference: Any, limit: float) -> Any:
        """Return what the actor returns."""
        deadline = time.monotonic() + limit
        while True:
            try:
                return ray.get(reference, timeout=LOOK_S)
            except ray.exceptions.GetTimeoutError:
                if self._stopped():
                    self._actor.stop.remote()
                    raise Interrupted from None
                if time.monotonic() > deadline:
                    raise StationLost(f"it gave no answer within {limit:.0f} s") from None
            except ray.exceptions.RayError as error:
                raise StationLost(_why(error)) from None


def _answer(told: dict[str, Any]) -> Answer:
    setup = None if told["setup"] is None else Setup(**told["setup"])
    return Answer(**{**told, "result": Result(**told["result"]), "setup": setup})


def _why(error: Exception) -> str:
    if isinstance(error, ray.exceptions.RayActorError):
        return "its node has gone, or the actor on it was ended"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
