"""pytest sessions inside a test: the plug-in is loaded, and what is no part of it and slow to load is not."""

from __future__ import annotations

from importlib import metadata

from harness.devices.cpu import CpuDevice
from harness.engine.protocol import Request
from harness.engine.worker import Worker
from harness.testing import subject, suite_file
from tests.cases import token_choice

ROOMS = (suite_file, subject)
"""A session inside this process forgets what it imports itself, and torch is not to be loaded twice."""
OTHERS = ("hypothesispytest", "anyio", "xdist")


def arguments() -> list[str]:
    """Return how pytest is told to load the plug-in, where this checkout is not installed, and no others."""
    found = {point.value for point in metadata.entry_points(group="pytest11")}
    ours = [] if "harness.testing.plugin" in found else ["harness.testing.plugin"]
    named = [word for name in (*ours, *(f"no:{other}" for other in OTHERS)) for word in ("-p", name)]
    return [*named, "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # it was imported by the test that starts it


def load_all() -> None:
    """Have every module loaded that probes load when they are first asked."""
    worker, case = Worker(CpuDevice()), token_choice(pass_="train")
    for probe in ("check", "flops", "memory", "determinism"):
        assert worker.visit(Request(0, case.variant, case.as_dict(), probe, {"seed": 0})).status == "ok"
