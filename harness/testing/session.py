"""Harness: what one pytest session measures with, and what it has measured."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.declare.plan import Plan
from harness.declare.suite import load_suite
from harness.devices.names import Detected, detect
from harness.engine.planning import plan_on
from harness.record import SCHEMA
from harness.testing.clock import RoundClock
from harness.testing.told import surroundings, take_conditions

if TYPE_CHECKING:
    from harness.engine.fold import AnyRecord
    from harness.testing.bench import Bench

OPTIONS = re.compile(r"--(?=(?:set|select|device)\b)")
"""Options of `harness` in its messages, which have another name here."""


class Harness:
    """One session's device, plans and records; nothing of it is made, and no torch loaded, before it is needed."""

    def __init__(self, config: pytest.Config, clock: RoundClock) -> None:
        self._config, self._clock = config, clock
        self._records: list[AnyRecord] = []

    @cached_property
    def found(self) -> Detected:
        """The device that `--harness-device` means; raise NoSuchDevice."""
        return detect(self._config.getoption("harness_device"))

    @cached_property
    def bench(self) -> Bench:
        """The bench on it."""
        take_conditions()
        from harness.testing.bench import Bench

        return Bench(self.found, self._clock)

    def plan(self, suite: Path) -> Plan:
        """Return the plan of the suite in a file, as the options narrow it; raise SuiteError, NoSuchDevice."""
        option = self._config.getoption
        return plan_on(self.found, load_suite(suite), option("harness_set"), option("harness_select"))

    def keep(self, record: AnyRecord) -> None:
        """Count a case as done."""
        self._records.append(record)

    def document(self) -> dict[str, Any]:
        """Return what stands in pytest-benchmark's files beside its own: device, environment, cases without numbers."""
        failed = [record for record in self._records if record.status != "ok"]
        return {
            "schema": SCHEMA,
            "device": self.bench.facts if self._records else None,
            "environment": surroundings(),
            "not_measured": [{"id": r.id, "key": r.key, "status": r.status, "reason": r.reason} for r in failed],
        }


def in_our_words(error: Exception) -> str:
    """Return an error's sentence with the options as pytest has them."""
    return OPTIONS.sub("--harness-", str(error))


@contextmanager
def importing_from(folders: Sequence[str]) -> Iterator[None]:
    """Let the code that a suite names be imported from `folders` for the length of the block, before all else."""
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)
