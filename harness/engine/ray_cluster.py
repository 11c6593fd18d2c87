"""Joining a Ray cluster, or starting one, within a time limit: Ray's own attempt at a wrong address takes minutes."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from harness.engine.fleet import FleetError

AUTO = "auto"
CONNECT_S = 5.0
ANSWER_S = 20.0
"""What a head may take to say that it is well: a fresh Python, and some messages."""
LAST_PORT = 65_535
EXTRA = 'pip install "moe-harness[ray]"'


class NoCluster(Exception):
    """There is no cluster at the address; the message says what there is."""


def check_ray() -> None:
    """Return if Ray is installed; raise FleetError where it is not. It is not imported."""
    if find_spec("ray") is None:
        raise FleetError(f"--ray needs Ray, which is not installed: {EXTRA}")


@contextmanager
def joined(address: str) -> Iterator[bool]:
    """Join the cluster at `address` for the length of the block; yield whether it was started for it.

    Args:
        address: HOST:PORT of the head; or auto: the cluster that this machine is in, or one of this machine alone.

    Raises:
        FleetError: Ray is not installed, the address is none, or the cluster's versions are not those here.
        NoCluster: Nothing answers at the address.
    """
    check_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere that nobody has asked for
    try:
        import ray
    except ImportError as error:  # also of a package that was left half installed, or is of another Python
        raise FleetError(f"--ray needs Ray, which cannot be imported ({_first_lines(error)}): {EXTRA}") from None

    found = _running() if address == AUTO else address
    if found is not None:
        _check_answers(found, f"--ray {address}" if address == found else f"--ray {address}: RAY_ADDRESS = {found}")
    try:
        ray.init(
            address=found,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            include_dashboard=None if found is not None else False,
        )
    except RuntimeError as error:  # also of versions that Ray itself will not mix
        raise FleetError(f"Ray refuses {found or 'to start'}: {_first_lines(error)}") from None
    except (ConnectionError, ValueError) as error:
        raise NoCluster(f"Ray cannot join {found}: {_first_lines(error)}") from None
    try:
        yield found is None
    finally:
        ray.shutdown()


def _running() -> str | None:
    """Return the address of the cluster that this machine is in; None where it is in none."""
    if said := os.environ.get("RAY_ADDRESS"):
        return said
    from ray._private.services import get_ray_address_from_environment  # what ray.init(address="auto") asks

    try:
        found = get_ray_address_from_environment(AUTO, None)
    except ConnectionError:
        return None
    return None if found in (None, AUTO) else str(found)


def _check_answers(address: str, given: str) -> None:
    """Return if a Ray head answers at `address`, asked by a process of its own: one that hangs can be ended.

    `given` says where the address was read.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LAST_PORT or "/" in host:
        raise FleetError(f"{given}: expected HOST:PORT of the cluster's head (as `ray start` prints it), or auto")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise NoCluster(
            f"nothing answers at {address} ({reason}): is the head up? `ray start --head` prints it"
        ) from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except subprocess.TimeoutExpired:
        raise NoCluster(f"what is at {address} gave no answer within {ANSWER_S:.0f} s: it may be no Ray head") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise NoCluster(f"what is at {address} is no Ray head that this Ray can talk to ({last})")


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
