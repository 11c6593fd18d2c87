"""Which devices a run spreads over: `--devices`, `--ray` and `--device-class`, or the exit that says what is wrong."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli.console import fail, note
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.cli.wanted import Wanted
    from harness.engine.fleet import Fleet

ALL = "all"
DevicesOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|all",
        help="Spread over so many devices: this machine's GPUs, or parts of its CPU; with --ray, the cluster's. Cases "
        "that are compared stay on one device.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="HOST:PORT|auto",
        help="Spread over a Ray cluster, one actor a GPU (docs/cluster.md); auto joins this machine's, or starts one.",
    ),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device-class",
        metavar="PATTERN",
        help='Only devices of this class, as "NVIDIA H100*"; where several classes match, each has a run of its own.',
    ),
]
Make = Callable[[], "Fleet"]


@contextmanager
def fleets_or_exit(wanted: Wanted) -> Iterator[list[Make]]:
    """Yield what makes the fleets that a run spreads over, one for each class of devices; none for a run on one."""
    most = _number(wanted.devices)
    patterns = wanted.classes or tuple(wanted.suite.measure.device_classes)
    if wanted.ray is None:
        yield [] if wanted.devices is None else _each(lambda classes: _local(wanted, most, classes), patterns)
        return
    if wanted.trace:
        fail(Exit.USAGE, "--trace keeps files where the worker is, and with --ray that is another machine")
    from harness.engine.fleet import FleetError
    from harness.engine.ray_cluster import NoCluster, joined

    try:
        with joined(wanted.ray) as started:
            if started:
                note("harness: no Ray cluster is running here: one of this machine alone was started for this run")
            yield _each(lambda classes: _of_cluster(wanted, most, classes), patterns)
    except FleetError as error:
        fail(Exit.USAGE, str(error))
    except NoCluster as error:
        fail(Exit.NO_DEVICE, str(error))


def check_class(wanted: Wanted, kind: str, name: str) -> None:
    """End the command where the one device that is here is of another class than is asked for."""
    from harness.devices.classes import device_class, is_wanted
    from harness.devices.names import Detected

    patterns = wanted.classes or tuple(wanted.suite.measure.device_classes)
    found = device_class(Detected(kind, name), wanted.threads)
    if not is_wanted(found, patterns):
        fail(Exit.NO_DEVICE, f"no device of the class {' or '.join(patterns)}: here is {found}")


def _each(make: Callable[[Sequence[str]], Fleet], patterns: Sequence[str]) -> list[Make]:
    """Return what makes a fleet for each class that the patterns name; one where they name none."""
    from harness.engine.fleet import SeveralClasses

    try:
        first = _or_exit(lambda: make(patterns))
    except SeveralClasses as several:
        if not patterns:
            fail(Exit.USAGE, str(several))
        return [lambda own=own: _or_exit(lambda: make([glob.escape(own)])) for own in several.classes]  # type: ignore[misc]
    return [lambda: first]


def _or_exit(make: Make) -> Fleet:
    from harness.devices.interface import NoSuchDevice
    from harness.engine.fleet import FleetError, SeveralClasses

    try:
        return make()
    except SeveralClasses:
        raise
    except FleetError as error:
        fail(Exit.USAGE, str(error))
    except NoSuchDevice as error:
        fail(Exit.NO_DEVICE, str(error))


def _local(wanted: Wanted, most: int | None, classes: Sequence[str]) -> Fleet:
    from harness.cli.planning import detect_or_exit
    from harness.engine.fleet import LocalFleet

    return LocalFleet(detect_or_exit(wanted.device).kind, most, classes)


def _of_cluster(wanted: Wanted, most: int | None, classes: Sequence[str]) -> Fleet:
    from harness.engine.ray_fleet import RayFleet

    address = wanted.ray or "auto"
    return RayFleet(wanted.device, threads=wanted.threads, wanted=classes, most=most, address=address)


def _number(devices: str | None) -> int | None:
    """Return how many devices are asked for; None for all."""
    if devices is None or devices == ALL:
        return None
    if not devices.isdecimal() or int(devices) < 1:
        _refuse(devices)
    return int(devices)


def _refuse(devices: str) -> NoReturn:
    fail(Exit.USAGE, f"--devices {devices}: expected a number of devices from 1 on, or all")
