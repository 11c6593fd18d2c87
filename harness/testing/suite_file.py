"""A suite's file as pytest collects it: each case is an item, named by its id."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from harness.declare.faults import SuiteError
from harness.declare.planned import Plan, PlannedCase
from harness.declare.plugins import search_folders
from harness.declare.rounds import LATENCY
from harness.devices.interface import NoSuchDevice
from harness.testing.outcome import settle, show
from harness.testing.plugin import CLOCK, NEEDS_BENCHMARK, can_time, harness_of
from harness.testing.session import importing_from, in_our_words

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from harness.engine.worker import Worker

KEYWORDS = ("variant", "layer", "dtype", "pass_", "scope", "size")
"""What `-k` finds a case by, beside its id."""


class SuiteFile(pytest.File):
    """A suite; what is wrong with it are its faults, and no traceback."""

    suite_plan: Plan

    def collect(self) -> Iterable[CaseItem]:
        """Yield the suite's cases in the plan's order."""
        if not can_time(self.config):
            raise self.CollectError(NEEDS_BENCHMARK)
        try:
            self.suite_plan = harness_of(self.config).plan(self.path)
        except (SuiteError, NoSuchDevice) as error:
            raise self.CollectError(in_our_words(error)) from None
        for planned in self.suite_plan.cases:
            yield self._item(planned)

    @cached_property
    def worker(self) -> Worker:
        """The worker of this suite's cases, which share layers as those of a run do."""
        return harness_of(self.config).bench.worker(self.folders)

    @property
    def folders(self) -> list[str]:
        """Where the suite's own code and assignments are looked for."""
        return search_folders(self.path.parent)

    def _item(self, planned: PlannedCase) -> CaseItem:
        times = LATENCY in self.suite_plan.suite.measure.probes
        item: CaseItem = CaseItem.from_parent(self, name=planned.case.id, callobj=timed if times else untimed)
        item.planned = planned
        item.extra_keyword_matches |= {str(getattr(planned.case, name)) for name in KEYWORDS}
        if times:
            item.add_marker(pytest.mark.benchmark(timer=self.config.stash[CLOCK], group=self.suite_plan.suite.name))
        return item


class CaseItem(pytest.Function):
    """One case: skipped where it is unsupported or too large, failed where it is wrong, out of memory or crashed."""

    planned: PlannedCase

    def measure(self, benchmark: BenchmarkFixture | None) -> None:
        """Measure the case, with `benchmark` for its time."""
        file = self.getparent(SuiteFile)
        assert file is not None
        if why := _will_not_run(self.planned):
            pytest.skip(why)
        if benchmark is not None:
            benchmark.param, benchmark.params = self.planned.case.id, self.planned.case.as_dict()
        with importing_from(file.folders):
            harness, wanted = harness_of(self.config), file.suite_plan.suite.measure
            record = settle(harness, self, lambda: harness.bench.measure(self.planned, wanted, file.worker, benchmark))
        show(self, record, benchmark)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return where the case is said: the line of its variant in the suite."""
        file = self.getparent(SuiteFile)
        assert file is not None
        suite = file.suite_plan.suite
        variant = next(variant for variant in suite.variants if variant.name == self.planned.case.variant)
        line = suite.place(variant.path).line
        return self.path, None if line is None else line - 1, self.name


def timed(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> None:
    """Measure a case of a suite that measures time."""
    request.node.measure(benchmark)


def untimed(request: pytest.FixtureRequest) -> None:
    """Measure a case of a suite without latency: no benchmark, so `--benchmark-only` leaves it out."""
    request.node.measure(None)


def _will_not_run(planned: PlannedCase) -> str | None:
    if planned.unsupported is not None:
        return planned.unsupported
    return "it does not fit into the memory" if planned.fits is False else None
