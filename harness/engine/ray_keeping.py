"""A keeper on a node of a Ray cluster: the actor's side, which runs on that node and starts workers there.

All that passes between it and the runner are lines of JSON, as between runner and worker.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
import threading
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from harness.devices.classes import VISIBLE, device_class
from harness.devices.interface import NoSuchDevice
from harness.devices.names import detect, memory_bytes
from harness.engine.conditions import measuring_environment
from harness.engine.environment import PACKAGE, VARIABLES, environment, measuring_variables, source_digest
from harness.engine.fleet import measured_ceilings
from harness.engine.keeper import Answer, Keeper, WorkerFailed, WorkerOptions, memory_limit
from harness.engine.process import Interrupted
from harness.engine.protocol import Ready, Request, read

PREFIX = "moe-harness-node-"
"""How a node's folder begins: it is there from the first worker on, since a run that is refused closes no actor."""
ERRORS = {error.__name__: error for error in (NoSuchDevice, WorkerFailed, Interrupted)}
"""What a keeper raises, by the name under which it is told."""


class Keeping:
    """One device of a node, and the keeper on it; Ray makes an actor of it.

    Ray asks it from two threads, so that `stop` is heard while a visit is made.
    """

    def __init__(self) -> None:
        self._keeper: Keeper | None = None
        self._stopped = threading.Event()
        self._ready: Ready | None = None
        self._folder: Path | None = None

    def describe(self, kind: str, threads: int, variables: dict[str, str]) -> str:
        """Return what is here: versions, environment, device; or why there is none.

        `variables` are those of the runner that change what is measured: they hold on every node.
        """
        _take_over(variables)
        told: dict[str, Any] = {"harness": source_digest(), "python": platform.python_version(), "pid": os.getpid()}
        told["environment"] = environment() | {"variables": _shared(measuring_variables())}
        try:
            device = detect(kind)
            told |= {"device": device._asdict(), "class": device_class(device, threads)}
            room = memory_bytes(kind)
            told["memory_bytes"] = min(room, memory_limit()) if kind == "cpu" else room
        except NoSuchDevice as error:
            told["error"] = str(error)
        return json.dumps(told)

    def ceilings(self, kind: str) -> str:
        """Return the device's ceilings, measured now; raises FleetError."""
        return json.dumps(asdict(measured_ceilings(detect(kind))))

    def begin(self, terms: str) -> str:
        """Start a worker; return its greeting."""
        said = json.loads(terms)
        program = said["options"].pop("program")
        options = WorkerOptions(
            **said["options"],
            program=None if program is None else tuple(program),
            root=PACKAGE.parent,  # the worker's code is this process's, wherever that has found it
        )
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix=PREFIX))
        self._keeper = Keeper(
            options.command(said["kind"], said["import_from"]),
            self._folder / "worker.log",
            self._stopped.is_set,
            self._greeted,
            options.memory_bytes,
            seed=said["seed"],
            numbers=count(said["first_worker"]),
        )
        return self._told(lambda keeper: keeper.greet())

    def ask(self, request: bytes, timeout: float) -> str:
        """Make a visit; return the answer, or what was raised."""
        message = read(request)
        assert isinstance(message, Request)
        return self._told(lambda keeper: keeper.ask(message, timeout))

    def end(self, politely: bool) -> None:
        """End the worker."""
        if self._keeper is not None:
            self._keeper.end(politely=politely)

    def stop(self) -> None:
        """Let the visit in flight be given up."""
        self._stopped.set()

    def close(self, politely: bool) -> None:
        """End the worker and all that it started, and leave nothing behind."""
        if self._keeper is not None:
            self._keeper.close(politely=politely)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _greeted(self, ready: Ready) -> None:
        self._ready = ready

    def _told(self, call: Any) -> str:
        """Return what a call of the keeper gives, as JSON, with the worker's greeting where it has a new one."""
        assert self._keeper is not None
        told: dict[str, Any] = {}
        try:
            answer = call(self._keeper)
            told["answer"] = asdict(answer) if isinstance(answer, Answer) else None
        except tuple(ERRORS.values()) as error:
            told["error"], told["reason"] = type(error).__name__, str(error)
        ready, self._ready = self._ready, None
        told["ready"] = None if ready is None else asdict(ready)
        return json.dumps(told)


def shared_variables() -> dict[str, str]:
    """Return this process's variables that change what is measured, and that hold on every node."""
    return _shared(measuring_variables())


def _shared(variables: dict[str, str]) -> dict[str, str]:
    """Leave out which GPUs may be seen: that is each device's own."""
    return {name: value for name, value in variables.items() if name != VISIBLE}


def _take_over(variables: dict[str, str]) -> None:
    """Set this process's measuring variables to the runner's: Ray sets some of its own, such as OMP_NUM_THREADS."""
    for name in [name for name in os.environ if VARIABLES.fullmatch(name) and name != VISIBLE]:
        del os.environ[name]
    os.environ.update(variables)
    os.environ.update({name: value for name, value in measuring_environment().items() if name not in os.environ})
