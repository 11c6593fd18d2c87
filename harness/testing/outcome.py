"""What a record means to a test: it passes with its numbers beside it, fails or is skipped with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness.engine.fold import AnyRecord
from harness.engine.journal import RunFolderError
from harness.engine.locks import Busy
from harness.metrics import METRICS
from harness.metrics import show as shown
from harness.record import OkRecord, columns

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from harness.testing.session import Harness

SKIPPED = ("unsupported", "skipped")
ONE_PROCESS = "all rounds were taken in pytest's process: the interval leaves out how processes differ"


class Spoiled(Exception):
    """This process can measure no more on this device; the message says why."""


class Taken(NamedTuple):
    """What came of a case."""

    record: AnyRecord
    traceback: str | None
    """Of a layer that raised."""


def settle(harness: Harness, item: pytest.Item, measure: Callable[[], Taken]) -> OkRecord:
    """Return the record that `measure` gives where it has numbers; else skip or fail the test with its reason."""
    try:
        record, traceback = measure()
    except (Spoiled, Busy, RunFolderError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    harness.keep(record)
    if isinstance(record, OkRecord):
        return record
    if traceback is not None:
        item.add_report_section("call", "traceback", traceback)
    if record.status in SKIPPED:
        pytest.skip(record.reason)
    pytest.fail(f"{record.status}: {record.reason}", pytrace=False)


def show(item: pytest.Item, record: OkRecord, benchmark: BenchmarkFixture | None) -> None:
    """Put the numbers beside the test: into `extra_info`, JUnit's properties, and a section that a failure prints."""
    flat = columns(record.metrics)
    if benchmark is not None:
        benchmark.extra_info |= {"key": record.key, "backend": record.backend, **flat}
        benchmark.extra_info["notes"] = [ONE_PROCESS, *record.notes]
    item.user_properties += list(flat.items())
    item.add_report_section("call", "moe-harness", "\n".join(_lines(record)))


def _lines(record: OkRecord) -> list[str]:
    width = max(map(len, record.metrics), default=0)
    numbers = [
        f"{name:{width}}  {shown(name, metric.value, metric.low, metric.high)}"
        for name, metric in record.metrics.items()
        if name in METRICS
    ]
    return [*numbers, *record.notes]
