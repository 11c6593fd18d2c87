"""Fleets: where the stations of a run come from that has several devices; this one is of this machine's.

A fleet says before anything is measured what its devices have in common, and then hands out stations, also later, as
devices come.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from harness.devices.ceilings import Ceilings
from harness.devices.classes import VISIBLE, device_class, gpu_class, is_wanted, listed, visible_gpus
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected, cpu_model, detect, logical_cores, memory_bytes
from harness.engine.conditions import held_to, measuring_environment
from harness.engine.family import Orphans
from harness.engine.folder import TRACES, log_of
from harness.engine.keeper import Keeper, WorkerOptions, memory_limit
from harness.engine.process import Stopped
from harness.engine.protocol import Ready
from harness.engine.station import Station

WORKERS_APART = 100_000
"""Between the numbers of two stations' workers, so that no two workers of a run have one set-up."""


class FleetError(Exception):
    """What was asked for cannot be had of the devices that there are; the message says what can."""


class SeveralClasses(FleetError):
    """The devices are of several classes, and one run has one."""

    def __init__(self, classes: Iterable[str]) -> None:
        found = list(classes)
        super().__init__(
            f"the devices are of several classes ({listed(found)}), and times of two classes make no comparison: name "
            "one by --device-class, or in the suite's [measure] as device_class; what names several has a run for each"
        )
        self.classes = list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Terms:
    """What all workers of a run have in common."""

    folder: Path
    import_from: list[str]
    """Folders of the suite's own code and assignments."""
    options: WorkerOptions
    seed: int
    first_worker: int
    """Number of the first worker to come."""
    stopped: Stopped
    greeted: Callable[[Ready], None]

    def numbers(self, station: int) -> Iterator[int]:
        """Return the numbers of a station's workers."""
        return count(self.first_worker + station * WORKERS_APART)


class Fleet(Protocol):
    """Devices of one class, and the stations on them."""

    device: Detected
    """What its devices are called alike; ceilings are kept by this name."""
    device_class: str
    asked: dict[str, str]
    """As the command line asked for it, by option."""
    memory_bytes: int
    """Of one device, for layers."""
    lock_name: str | None
    """What the user's runs on this machine must not hold at once; None: nothing of this machine is measured."""
    environment: dict[str, Any] | None
    """What software is on their machines; None: this process's."""
    patience_s: float
    """How long a run that has lost all of them waits for another, in seconds."""

    @property
    def devices(self) -> list[dict[str, Any]]:
        """The devices that it has handed out, as run.json lists them."""

    def ceilings(self) -> Ceilings:
        """Return the ceilings of one of its devices, measured now; raise FleetError where that fails."""

    def open(self, terms: Terms) -> None:
        """Hear what workers are started with; stations can be had from now on."""

    def new(self) -> Sequence[Station]:
        """Return the stations that were not there when it was last asked."""

    def lost(self, station: Station) -> None:
        """Hear that a station is no more."""

    def close(self) -> None:
        """Let go of all devices."""


class LocalFleet:
    """Devices of this machine: its GPUs, or parts of its CPU with the cores split among them.

    Args:
        kind: cpu or cuda.
        asked: How many; None: all GPUs, or a part of the CPU for each core.
        wanted: Patterns of the device class that is asked for; none: any.

    Raises:
        NoSuchDevice: There is none of this kind, or none of this class.
        FleetError: There are not so many, or those that are wanted are of several classes.
    """

    environment: dict[str, Any] | None = None
    patience_s = 0.0

    def __init__(self, kind: str, asked: int | None = None, wanted: Sequence[str] = ()) -> None:
        self.asked = {"devices": "all" if asked is None else str(asked)}
        self._posts = _parts_of_cpu(asked) if kind == "cpu" else _gpus(asked, wanted)
        self.device, self.device_class = self._posts[0].device, self._posts[0].device_class
        if not is_wanted(self.device_class, wanted):
            raise NoSuchDevice(f"no device of the class {' or '.join(wanted)}: here is {self.device_class}")
        self.lock_name: str | None = detect(kind).name
        self.memory_bytes = memory_bytes(kind) // (len(self._posts) if kind == "cpu" else 1)
        self._terms: Terms | None = None
        self._given = False

    @property
    def devices(self) -> list[dict[str, Any]]:
        """The devices that it has handed out, as run.json lists them."""
        return [
            {"name": post.name, "class": post.device_class}
            | ({"cores": ",".join(map(str, post.cores))} if post.cores else {})
            for post in self._posts
        ]

    def ceilings(self) -> Ceilings:
        """Return the ceilings of one of its devices, measured now; raise FleetError where that fails."""
        first = self._posts[0]
        with held_to(first.cores):
            return measured_ceilings(first.device, first.variables)

    def open(self, terms: Terms) -> None:
        """Hear what workers are started with; stations can be had from now on."""
        self._terms = terms

    def new(self) -> Sequence[Station]:
        """Return all stations, once."""
        if self._given or self._terms is None:
            return ()
        self._given, orphans = True, Orphans()
        return [self._station(self._terms, index, orphans) for index in range(len(self._posts))]

    def lost(self, station: Station) -> None:
        """Hear that a station is no more; no other comes for it."""

    def close(self) -> None:
        """Let go of all devices: nothing was taken."""

    def _station(self, terms: Terms, index: int, orphans: Orphans) -> Keeper:
        post, options = self._posts[index], terms.options
        room = options.memory_bytes or memory_limit()
        return Keeper(
            options.command(post.device.kind, terms.import_from, terms.folder.absolute() / TRACES),
            terms.folder / log_of(post.name),
            terms.stopped,
            terms.greeted,
            room // len(self._posts),
            seed=terms.seed,
            orphans=orphans,
            name=post.name,
            numbers=terms.numbers(index),
            variables=post.variables,
            cores=post.cores,
        )


def measured_ceilings(device: Detected, variables: Mapping[str, str] | None = None) -> Ceilings:
    """Return the ceilings of a device, measured by a program of its own, which keeps them on its machine.

    Raises:
        FleetError: The program failed; its words stand on stderr.
    """
    command = [sys.executable, "-m", "harness.probes.ceilings", "--device", device.kind, "--as", device.name]
    own = {**measuring_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(variables or {})}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=own, text=True, check=False, start_new_session=True)
    if done.returncode:
        raise FleetError(f"the ceilings of {device.name} cannot be measured: the program ended with {done.returncode}")
    return Ceilings(**json.loads(done.stdout))


@dataclass(frozen=True, slots=True)
class _Post:
    """A device of this machine."""

    name: str
    device: Detected
    device_class: str
    cores: tuple[int, ...] = ()
    visible: str | None = None
    """How CUDA_VISIBLE_DEVICES names it alone."""

    @property
    def variables(self) -> dict[str, str]:
        """What a process that measures on it finds in its environment."""
        return {} if self.visible is None else {VISIBLE: self.visible}


def _parts_of_cpu(asked: int | None) -> list[_Post]:
    """Return the CPU in so many parts of as many cores each; what is left over stays idle."""
    if not hasattr(os, "sched_getaffinity"):
        raise FleetError("--devices splits a CPU by its cores, which this system does not let a process do")
    cores = sorted(os.sched_getaffinity(0))
    parts = asked or len(cores)
    if parts > len(cores):
        raise FleetError(f"--devices {parts}: this process may use {len(cores)} cores; expected 1 to {len(cores)}")
    if parts == 1:
        here = detect("cpu")
        return [_Post("cpu:0", here, device_class(here))]
    each = len(cores) // parts
    device = Detected("cpu", f"{cpu_model()}, {each} of {logical_cores()} cores")
    own = [tuple(cores[part * each : (part + 1) * each]) for part in range(parts)]
    return [_Post(f"cpu:{part}", device, device.name, chosen) for part, chosen in enumerate(own)]


def _gpus(asked: int | None, wanted: Sequence[str]) -> list[_Post]:
    """Return the GPUs of the one class that is wanted."""
    detect("cuda")
    found = [(index, visible, gpu_class(visible)) for index, visible in enumerate(visible_gpus())]
    chosen = [entry for entry in found if is_wanted(entry[2], wanted)]
    every = [name for *_, name in found]
    if not chosen:
        raise NoSuchDevice(f"no device of the class {' or '.join(wanted)}: here are {listed(every)}")
    if len({name for *_, name in chosen}) > 1:
        raise SeveralClasses(name for *_, name in chosen)
    if asked is not None and asked > len(chosen):
        raise FleetError(f"--devices {asked}: here are {listed(every)}; expected 1 to {len(chosen)}")
    posts = chosen[: asked or len(chosen)]
    return [
        _Post(f"cuda:{index}", Detected("cuda", name.split(",")[0]), name, visible=visible)
        for index, visible, name in posts
    ]
