"""A Ray cluster as a fleet: one actor a GPU, or on nodes without any one a CPU; also of nodes that join later.

Ray is imported here and in `ray_station`, which are imported where --ray is asked for and nowhere else.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.devices.ceilings import Ceilings, save
from harness.devices.classes import is_wanted, listed
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected
from harness.engine.fleet import FleetError, SeveralClasses, Terms
from harness.engine.ray_keeping import Keeping, shared_variables
from harness.engine.ray_station import RayStation
from harness.engine.station import Station
from harness.engine.unequal import unequal

COME_UP_S = 60.0
"""What an actor may take to come up and to say what is there: Python starts, and reads the harness; no torch."""
NODES_LOOK_S = 1.0
"""How often the run looks for nodes that have joined."""
PATIENCE_S = 120.0
"""How long a run that has lost all devices waits for another: a node may come back, or SLURM requeue it."""
MOST_TRIES = 3
"""Actors that are tried on one device of a node, over a run."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for an actor: a GPU of a node, or the CPU of one that has none."""

    node: str
    """Ray's id."""
    address: str
    kind: str
    index: int
    cpus: float


@dataclass(slots=True)
class _Seated:
    """An actor in its slot."""

    slot: Slot
    actor: Any
    said: Any
    """Reference to what it says of itself."""
    since: float
    facts: dict[str, Any] | None = None
    """What it has said."""
    refused: str | None = None
    """Why it can measure nothing of this run."""


class RayFleet:
    """The devices of one class of a cluster that this process is connected to.

    Args:
        kind: auto, cpu or cuda; auto takes GPUs where the cluster has any.
        threads: CPU threads of torch.
        wanted: Patterns of the device class that is asked for; none: any.
        most: Devices to use; None: all.
        address: Of the cluster, as the command line said it.

    Raises:
        NoSuchDevice: It has none of this kind or class.
        FleetError: Versions on a node are not those here, the devices are of several classes, or fewer than `most`.
    """

    lock_name: str | None = None
    patience_s = PATIENCE_S

    def __init__(
        self,
        kind: str = "auto",
        *,
        threads: int = 0,
        wanted: Sequence[str] = (),
        most: int | None = None,
        address: str = "auto",
    ) -> None:
        self.asked = {"ray": address} | ({} if most is None else {"devices": str(most)})
        self._kind, self._threads, self._wanted, self._most = kind, threads, wanted, most
        self._seated: dict[Slot, _Seated] = {}
        self._stations: dict[str | None, Slot] = {}
        self._tries: Counter[Slot] = Counter()
        self._numbers: Counter[str] = Counter()
        self._terms: Terms | None = None
        self._handed_out = 0
        self._looked = 0.0
        self.devices: list[dict[str, Any]] = []
        try:
            first = self._first()
        except Exception:
            self.close()
            raise
        self.device, self.device_class = Detected(**first["device"]), str(first["class"])
        self.memory_bytes = int(first["memory_bytes"])
        self.environment: dict[str, Any] | None = first["environment"]

    def ceilings(self) -> Ceilings:
        """Return the ceilings of one of its devices, measured there now, and keep them here too.

        Raises:
            FleetError: They cannot be measured.
        """
        seated = next(one for one in self._seated.values() if (one.facts or {}).get("class") == self.device_class)
        try:
            found = Ceilings(**json.loads(ray.get(seated.actor.ceilings.remote(self.device.kind))))
        except ray.exceptions.RayError as error:
            raise FleetError(f"the ceilings of {self.device.name} cannot be measured: {_first_line(error)}") from None
        with suppress(OSError):
            save(found)
        return found

    def open(self, terms: Terms) -> None:
        """Hear what workers are started with; stations can be had from now on."""
        self._terms = terms

    def new(self) -> Sequence[Station]:
        """Return the stations that were not there when it was last asked, of nodes that have joined too."""
        if self._terms is None:
            return ()
        if time.monotonic() - self._looked > NODES_LOOK_S:
            self._looked = time.monotonic()
            self._seat()
            self._hear(0.0)
        room = len(self._seated) if self._most is None else self._most - len(self._stations)
        ready = [seated for seated in self._seated.values() if self._is_ready(seated)]
        return [self._station(seated, self._terms) for seated in ready[: max(0, room)]]

    def lost(self, station: Station) -> None:
        """Hear that a station is no more: its slot is free for another actor."""
        slot = self._stations.pop(station.name, None)
        if slot is not None:
            self._seated.pop(slot, None)

    def close(self) -> None:
        """Let go of all devices."""
        for seated in self._seated.values():
            ray.kill(seated.actor)
        self._seated.clear()

    def _first(self) -> dict[str, Any]:
        """Return what the devices that are here have in common, once all of them have said what they are."""
        if self._kind == "auto":
            self._kind = "cuda" if any(node["Resources"].get("GPU") for node in _alive()) else "cpu"
        self._seat()
        if not self._seated:
            raise NoSuchDevice(f"the cluster has no {'GPU' if self._kind == 'cuda' else 'CPU that Ray may use'}")
        self._hear(COME_UP_S)
        if why := next((seated.refused for seated in self._seated.values() if seated.refused), None):
            raise FleetError(why)
        facts = [seated.facts for seated in self._seated.values() if seated.facts is not None]
        if not facts:
            raise NoSuchDevice(
                f"none of the cluster's {len(self._seated)} devices was free within {COME_UP_S:.0f} s: other work may "
                "hold them (`ray status` says what)"
            )
        for told in facts:
            if "error" in told:
                raise NoSuchDevice(f"{told['environment']['hostname']}: {told['error']}")
        every = [str(told["class"]) for told in facts]
        chosen = [name for name in every if is_wanted(name, self._wanted)]
        if not chosen:
            raise NoSuchDevice(f"no device of the class {' or '.join(self._wanted)}: the cluster has {listed(every)}")
        if len(set(chosen)) > 1:
            raise SeveralClasses(chosen)
        if self._most is not None and self._most > len(chosen):
            raise FleetError(f"--devices {self._most}: the cluster has {listed(every)}; expected 1 to {len(chosen)}")
        return next(told for told in facts if told["class"] == chosen[0])

    def _seat(self) -> None:
        """Start an actor in each slot that has none."""
        for slot in _slots(_alive(), self._kind):
            if slot not in self._seated and self._tries[slot] < MOST_TRIES:
                self._tries[slot] += 1
                actor = _actor(slot)
                said = actor.describe.remote(slot.kind, self._threads, shared_variables())
                self._seated[slot] = _Seated(slot, actor, said, time.monotonic())

    def _hear(self, patience: float) -> None:
        """Take in what actors say of themselves; one that does not come up gives its slot back."""
        waited = [one for one in self._seated.values() if one.facts is None and one.refused is None]
        if waited:
            done, _ = ray.wait([seated.said for seated in waited], num_returns=len(waited), timeout=patience)
            for seated in (one for one in waited if one.said in done):
                self._take_in(seated)

    def _take_in(self, seated: _Seated) -> None:
        try:
            seated.facts = json.loads(ray.get(seated.said))
            seated.refused = unequal(seated.facts)
        except ray.exceptions.RayActorError as error:
            if "ModuleNotFoundError" in str(error):
                seated.refused = _no_harness(seated.slot.address)
            else:  # it was ended: another one is tried
                self._seated.pop(seated.slot)
        except ray.exceptions.RayError as error:
            seated.refused = f"{seated.slot.address} cannot be asked what it has: {_first_line(error)}"

    def _is_ready(self, seated: _Seated) -> bool:
        """Return whether an actor is up, has no station yet, and is of the run's class and versions."""
        return (
            seated.refused is None
            and seated.facts is not None
            and seated.slot not in self._stations.values()
            and seated.facts.get("class") == self.device_class
        )

    def _station(self, seated: _Seated, terms: Terms) -> Station:
        slot, facts = seated.slot, seated.facts
        assert facts is not None
        host = f"{slot.address}/{slot.kind}"
        name = f"{host}:{self._numbers[host]}"
        self._numbers[host] += 1
        number, self._handed_out = self._handed_out, self._handed_out + 1
        options = replace(terms.options, trace=False)
        said = {
            "kind": slot.kind,
            "import_from": terms.import_from,
            "seed": terms.seed,
            "first_worker": next(terms.numbers(number)),
            "options": {key: value for key, value in asdict(options).items() if key in PASSED_ON},
        }
        self._stations[name] = slot
        told = {"name": name, "class": self.device_class, "hostname": facts["environment"].get("hostname")}
        self.devices.append({**told, "node": slot.node})
        return RayStation(name, seated.actor, json.dumps(said), terms.stopped, terms.greeted)


PASSED_ON = ("threads", "cache_bytes", "memory_bytes", "program")
"""What of a worker's options holds on every node; its interpreter is the node's own."""


def _alive() -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _slots(nodes: Sequence[Mapping[str, Any]], kind: str) -> Iterator[Slot]:
    """Yield the slots of a kind: one a GPU, or one a node's CPU."""
    for node in nodes:
        resources = node["Resources"]
        cpus, gpus = float(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        where = node["NodeID"], node["NodeManagerAddress"]
        if kind == "cuda":
            yield from (Slot(*where, kind, index, min(1.0, cpus / gpus)) for index in range(gpus))
        elif cpus:
            yield Slot(*where, kind, 0, cpus)


def _actor(slot: Slot) -> Any:
    """Return the actor in a slot: on its node and no other, with its GPU or all of its CPU, never started again."""
    made = ray.remote(Keeping).options(
        num_cpus=slot.cpus,
        num_gpus=1 if slot.kind == "cuda" else 0,
        max_concurrency=2,
        max_restarts=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(slot.node, soft=False),
    )
    return made.remote()


def _no_harness(address: str) -> str:
    return (
        f"the node {address} has no harness that Ray's Python there can import: install the same version of "
        'moe-harness on all nodes (`pip install "moe-harness[ray]"`), or put it on a shared file system'
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
