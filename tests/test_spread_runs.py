"""A run over several devices, with the scripted worker: what is pulled, what is kept, what a lost device costs."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.case import Case
from harness.declare.cut import cut
from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import parse_suite
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected, detect
from harness.engine import spread
from harness.engine.family import Orphans
from harness.engine.fleet import FleetError, LocalFleet, SeveralClasses, Terms
from harness.engine.fold import AnyRecord
from harness.engine.folder import read_run
from harness.engine.journal import WriteError, read_journal
from harness.engine.keeper import Answer, Keeper, WorkerFailed, memory_limit
from harness.engine.process import Interrupted
from harness.engine.progress import Silent
from harness.engine.protocol import Request
from harness.engine.station import Station, StationLost
from harness.record import OkRecord
from tests.sweeps import answered, make_plan, measure

SUITE = """
title = "A sweep to spread"
[base]
d_model = 16
d_ff = 32
tokens = 4
[sweep]
batch = [1, 2, 4, 8]
[[variant]]
name = "a"
layer = "dense"
[[variant]]
name = "b"
layer = "dense"
[measure]
probes = ["determinism", "latency"]
rounds = 2
seconds_per_visit = 0.002
a_a = 0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "run"


def make(text: str = SUITE) -> Plan:
    return plan(parse_suite(text, "spread.toml"))


class Fleet:
    """Keepers of this machine under made-up names; `befall` may raise what a station is to raise, before a visit."""

    lock_name: str | None = None
    environment: dict[str, Any] | None = None
    memory_bytes = 1 << 30
    device_class = "scripted"

    def __init__(self, befall: Callable[[str, Request], None], names: Sequence[str] = ("x", "y")) -> None:
        self.device = detect("cpu")
        self.asked = {"devices": "2"}
        self.patience_s = 0.0
        self.devices: list[dict[str, Any]] = []
        self.joining: list[str] = list(names)
        self.gone: list[str | None] = []
        self.closed = False
        self._befall = befall
        self._terms: Terms | None = None
        self._orphans = Orphans()
        """Shared: a keeper would otherwise take another one's worker for an orphan, and end it."""

    def open(self, terms: Terms) -> None:
        self._terms = terms

    def new(self) -> list[Station]:
        names, self.joining = self.joining, []
        return [self._station(name) for name in names]

    def lost(self, station: Station) -> None:
        self.gone.append(station.name)

    def ceilings(self) -> Any:
        raise AssertionError("nobody asks")

    def close(self) -> None:
        self.closed = True

    def _station(self, name: str) -> Station:
        terms = self._terms
        assert terms is not None
        self.devices.append({"name": name, "class": self.device_class})
        keeper = Keeper(
            terms.options.command("cpu"),
            terms.folder / f"worker-{name}.log",
            terms.stopped,
            terms.greeted,
            name=name,
            numbers=terms.numbers(len(self.devices) - 1),
            orphans=self._orphans,
        )
        return Befallen(keeper, self._befall)


class Befallen:
    """A station that something befalls before a visit."""

    def __init__(self, keeper: Keeper, befall: Callable[[str, Request], None]) -> None:
        self._keeper, self._befall = keeper, befall
        self.name = keeper.name
        self.end, self.close = keeper.end, keeper.close

    def ask(self, request: Request, timeout: float) -> Answer:
        self._befall(str(self.name), request)
        return self._keeper.ask(request, timeout)


def nothing(name: str, request: Request) -> None:
    """Let it be."""


def once(name: str, after: int, error: Exception) -> Callable[[str, Request], None]:
    """Return what raises `error` in the visit that a station is asked for after so many."""
    asked: Counter[str] = Counter()

    def befall(station: str, request: Request) -> None:
        asked[station] += 1
        if station == name and asked[station] > after:
            raise error

    return befall


def test_a_spread_run_is_a_run_as_any(folder: Path) -> None:
    chosen = make()
    result = measure(folder, chosen, fleet=LocalFleet("cpu", 2))
    alone = measure(folder.with_name("alone"), make())
    assert (result.status, result.end, result.visited) == ("complete", "ok", alone.visited)
    assert [record.key for record in result.records] == [record.key for record in alone.records]
    for mine, other in zip(result.records, alone.records, strict=True):
        assert isinstance(mine, OkRecord)
        assert isinstance(other, OkRecord)
        assert mine.metrics["det_run"] == other.metrics["det_run"]
        assert mine.metrics["latency_ms"].rounds == other.metrics["latency_ms"].rounds
    assert read_run(folder).records == list(result.records)


def test_what_is_compared_stays_on_one_device_and_all_are_used(folder: Path) -> None:
    chosen, both = make(), threading.Barrier(2)
    begun: set[str] = set()

    def befall(name: str, request: Request) -> None:
        if name not in begun:
            begun.add(name)
            both.wait(60)  # neither goes on before the other one has a share

    measure(folder, chosen, fleet=Fleet(befall))
    devices: defaultdict[str, set[str | None]] = defaultdict(set)
    for line in read_journal(folder / "journal.jsonl"):
        devices[line.key].add(line.device)
    for share in cut(chosen):
        assert len(set[str | None]().union(*(devices[key] for key in share.keys))) == 1
    assert set().union(*devices.values()) == {"x", "y"}


def test_shares_are_pulled_not_dealt_out(folder: Path) -> None:
    go = threading.Event()

    def befall(name: str, request: Request) -> None:
        if name == "x":
            go.wait(30)  # it is at its first share for as long as the other one takes for all the rest

    finished = Finished(6, go.set)
    measure(folder, make(), fleet=Fleet(befall), progress=finished)
    by_device = Counter(line.device for line in read_journal(folder / "journal.jsonl"))
    assert by_device["y"] == 3 * by_device["x"]


def test_a_visit_costs_no_look_at_all_the_cases_of_its_share(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = make(SUITE.replace("batch = [1, 2, 4, 8]", "d_ff = { from = 16, to = 640, step = 16 }"))
    key, asked = vars(Case)["key"], Counter[str]()

    def counted(case: Case) -> str:
        asked[threading.current_thread().name] += 1
        return str(key.__get__(case))

    monkeypatch.setattr(Case, "key", property(counted))
    result = measure(folder, chosen, fleet=LocalFleet("cpu", 1))
    assert result.visited == 4 * len(result.records) == 4 * 80
    assert asked["station cpu:0"] < 20 * len(result.records)


class Finished(Silent):
    """Does something once so many cases are finished."""

    def __init__(self, cases: int, then: Callable[[], None]) -> None:
        self._left, self._then = cases, then

    def finished(self, record: AnyRecord) -> None:
        self._left -= 1
        if not self._left:
            self._then()


def test_every_record_and_every_line_says_on_what(folder: Path) -> None:
    result = measure(folder, make(), fleet=LocalFleet("cpu", 2))
    cores = len(os.sched_getaffinity(0))
    (found,) = {record.device_class for record in result.records}
    assert found is not None
    assert f"{cores // 2} of " in found
    document = read_run(folder).document
    assert [device["name"] for device in document["devices"]] == ["cpu:0", "cpu:1"]
    assert {device["class"] for device in document["devices"]} == {found} == {document["device"]["class"]}
    assert not {"cores"} - set(document["devices"][0])
    assert document["spread"] == {"devices": "2"}


def test_a_run_on_one_device_says_its_class_too(folder: Path) -> None:
    result = measure(folder, make_plan("a"))
    assert {record.device_class for record in result.records} == {detect("cpu").name}
    assert read_run(folder).document["spread"] is None


def test_no_two_workers_have_one_set_up(folder: Path) -> None:
    measure(folder, make(), fleet=Fleet(nothing))
    lines = read_journal(folder / "journal.jsonl")
    numbers = {(line.worker, line.setup["worker"]) for line in lines}
    assert len({number for _, number in numbers}) == len({pid for pid, _ in numbers}) == len(numbers)


@pytest.mark.parametrize("after", [0, 1, 4, 7])
def test_what_a_lost_device_was_at_goes_elsewhere_and_nothing_is_measured_twice(folder: Path, after: int) -> None:
    fleet = Fleet(once("x", after, StationLost("its node has gone")))
    result = measure(folder, make(), fleet=fleet)
    assert result.end == "ok"
    assert {record.status for record in result.records} == {"ok"}
    places = [line.place for line in read_journal(folder / "journal.jsonl")]
    assert len(places) == len(set(places)) == answered(folder).total()
    assert (fleet.gone, fleet.closed) == (["x"], True)


def test_a_round_that_changes_hands_is_marked_and_said(folder: Path) -> None:
    measure(folder, make(), fleet=joins("y")(Fleet(once("x", 5, StationLost("gone")), names=("x",))))
    run = read_run(folder)
    moved = [line for line in run.lines if "moved" in line.marks]
    assert [(line.device, line.round) for line in moved] == [("y", 0)]
    (record,) = [record for record in run.records if record.marks.get("moved")]
    assert any("begun on another device" in note for note in record.notes)
    notes = [note for record in run.records for note in record.notes]
    assert "was timed on 2 devices of one class, one after the other: x, y" in notes


def test_a_device_that_joins_goes_on_where_the_last_one_was_lost(folder: Path) -> None:
    fleet = joins("y")(Fleet(once("x", 3, StationLost("gone")), names=("x",)))
    assert measure(folder, make(), fleet=fleet).end == "ok"
    assert Counter(line.device for line in read_journal(folder / "journal.jsonl"))["x"] == 3


def joins(name: str) -> Callable[[Fleet], Fleet]:
    """Return what lets another station join a fleet when one is lost."""

    def with_it(fleet: Fleet) -> Fleet:
        lost = fleet.lost

        def and_joins(station: Station) -> None:
            lost(station)
            fleet.joining.append(name)

        fleet.lost = and_joins  # type: ignore[method-assign]
        fleet.patience_s = 10.0
        return fleet

    return with_it


def test_a_visit_that_every_device_is_lost_in_is_the_cases_doing(folder: Path) -> None:
    def befall(name: str, request: Request) -> None:
        if request.variant == "a" and request.case["batch"] == 2 and request.probe == "latency":
            raise StationLost("gone")

    names = ("v", "w", "x", "y", "z")
    result = measure(folder, make(), fleet=Fleet(befall, names))
    bad = [record for record in result.records if record.status != "ok"]
    assert [(record.variant, record.case["batch"], record.end) for record in bad] == [("a", 2, "device_lost")]
    assert bad[0].reason == f"the device was lost, in latency: {spread.MOST_LOST} devices in a row disappeared in it"


def test_a_run_that_has_lost_all_devices_ends_and_can_go_on(folder: Path) -> None:
    result = measure(folder, make(), fleet=Fleet(once("x", 3, StationLost("gone")), names=("x",)))
    assert (result.status, result.end, result.visited) == ("interrupted", "no_device", 3)
    assert "no_device" in {record.end for record in result.records}
    again = measure(folder, make(), fleet=Fleet(nothing), resume=True)
    assert (again.end, again.reused) == ("ok", 3)
    assert answered(folder).total() == again.visited + 3


def test_a_resumed_run_makes_no_visit_again_and_no_worker_twice(folder: Path) -> None:
    asked = iter(range(1000))
    first = measure(folder, make(), fleet=Fleet(nothing), stopped=lambda: next(asked) > 40)
    assert first.end == "interrupted"
    second = measure(folder, make(), fleet=Fleet(nothing), resume=True)
    assert (second.end, second.reused) == ("ok", first.visited)
    assert answered(folder).total() <= first.visited + second.visited + 2  # those in flight, one a device
    lines = read_journal(folder / "journal.jsonl")
    assert len({line.place for line in lines}) == len(lines)


def test_an_interrupted_run_leaves_no_process(folder: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    asked = iter(range(1000))
    measure(folder, make(), fleet=LocalFleet("cpu", 2), stopped=lambda: next(asked) > 20)
    assert {child.pid for child in psutil.Process().children()} == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("station")]


def test_a_case_that_kills_its_worker_is_its_own_devices_matter(folder: Path) -> None:
    result = measure(folder, make_plan("before", "segfault", "after"), fleet=LocalFleet("cpu", 2))
    assert {record.variant: record.status for record in result.records} == {
        "before": "ok", "segfault": "crashed", "after": "ok",
    }  # fmt: skip


def test_further_rounds_are_made_on_the_device_of_their_share(folder: Path) -> None:
    chosen = make(
        SUITE.replace("rounds = 2", "rounds = 2\nprecision = 0.0001\nmax_rounds = 5").replace('"a"', '"noisy"')
    )
    result = measure(folder, chosen, fleet=Fleet(once("x", 15, StationLost("gone"))))
    assert result.end == "ok"
    for record in result.records:
        assert isinstance(record, OkRecord)
        assert len(record.metrics["latency_ms"].rounds or ()) == (5 if record.variant == "noisy" else 2)
        assert not any("visits were made" in note for note in record.notes)


def test_a_journal_that_cannot_be_written_ends_all_stations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.engine.journal import Journal

    kept = Journal.write
    count = iter(range(1000))

    def write(self: Journal, line: Any) -> int:
        if next(count) == 5:
            raise WriteError(folder / "journal.jsonl", OSError(28, "No space left on device"))
        return kept(self, line)

    monkeypatch.setattr(Journal, "write", write)
    with pytest.raises(WriteError, match="No space left"):
        measure(folder, make(), fleet=Fleet(nothing))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("station")]
    assert len(read_journal(folder / "journal.jsonl")) >= 5


def test_no_worker_anywhere_ends_the_run_with_what_it_said(folder: Path) -> None:
    def befall(name: str, request: Request) -> None:
        raise WorkerFailed("no worker can be started (3 were tried): ImportError: scripted")

    with pytest.raises(WorkerFailed, match="ImportError: scripted"):
        measure(folder, make(), fleet=Fleet(befall))


def test_a_device_that_is_not_there_to_begin_with_leaves_nothing(folder: Path) -> None:
    folder.mkdir()
    (folder.parent / "refuse").touch()
    with pytest.raises(NoSuchDevice, match="scripted"):
        measure(folder, make(), fleet=LocalFleet("cpu", 2))
    assert not list(folder.iterdir())


def test_stations_stop_where_they_are_interrupted(folder: Path) -> None:
    def befall(name: str, request: Request) -> None:
        raise Interrupted

    result = measure(folder, make(), fleet=Fleet(befall), stopped=lambda: False)
    assert result.end in ("no_device", "interrupted")


def test_a_cpu_is_split_by_its_cores() -> None:
    cores = sorted(os.sched_getaffinity(0))
    fleet = LocalFleet("cpu", len(cores))
    assert [device["cores"] for device in fleet.devices] == list(map(str, cores))
    assert fleet.memory_bytes * len(cores) <= detect_memory()
    with pytest.raises(FleetError, match=f"may use {len(cores)} cores; expected 1 to {len(cores)}"):
        LocalFleet("cpu", len(cores) + 1)


def detect_memory() -> int:
    from harness.devices.names import memory_bytes

    assert memory_limit() > 0
    return memory_bytes("cpu")


def test_a_class_that_is_not_here_is_said_with_what_is() -> None:
    with pytest.raises(NoSuchDevice, match=r"no device of the class NVIDIA H100\*: here is "):
        LocalFleet("cpu", 1, ["NVIDIA H100*"])


def test_gpus_of_two_classes_make_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.engine import fleet

    classes = {"0": "NVIDIA H100, 80 GiB, sm_90", "1": "NVIDIA A100, 40 GiB, sm_80", "2": "NVIDIA H100, 80 GiB, sm_90"}
    monkeypatch.setattr(fleet, "visible_gpus", lambda: list(classes))
    monkeypatch.setattr(fleet, "gpu_class", classes.__getitem__)
    monkeypatch.setattr(fleet, "detect", lambda kind: Detected("cuda", "NVIDIA H100"))
    monkeypatch.setattr(fleet, "memory_bytes", lambda kind: 80 << 30)
    with pytest.raises(SeveralClasses, match="2 x NVIDIA H100, 80 GiB, sm_90; 1 x NVIDIA A100") as caught:
        LocalFleet("cuda")
    assert caught.value.classes == [classes["0"], classes["1"]]
    two = LocalFleet("cuda", wanted=["NVIDIA H100*"])
    assert [device["name"] for device in two.devices] == ["cuda:0", "cuda:2"]
    with pytest.raises(FleetError, match="expected 1 to 2"):
        LocalFleet("cuda", 3, ["NVIDIA H100*"])
