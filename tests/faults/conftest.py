"""What the fault tests share: the undisturbed run, the tally and its table, how often each fault is done."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from harness.engine.folder import read_run
from harness.engine.keeper import WorkerOptions
from tests.ceilings import keep_ceilings
from tests.faults.layers import EVERY_FAULT
from tests.faults.sweeps import make_plan, sweep
from tests.faults.tally import MARK, Tally, Truth, end_leftovers
from tests.reliability import markdown_table, plain_table, write_section

T = TypeVar("T")
TALLY = pytest.StashKey[Tally]()


@dataclass(frozen=True, slots=True)
class Size:
    """How often each fault is done."""

    whole: bool

    @property
    def probes(self) -> tuple[str, ...]:
        """What is measured; FLOPs in the whole form alone, as the first count of a process imports for a second."""
        return (*(("flops",) if self.whole else ()), "memory", "determinism", "routing", "latency")

    def times(self, small: T, whole: T) -> T:
        """Return the one that is asked for."""
        return whole if self.whole else small


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="Do each fault as often as `nox -s faults` does.")
    parser.addoption("--keep", metavar="PAGE", help="Write the table of counts to this page.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash.get(TALLY, None)
    if tally is None or not tally.counts:
        return
    terminalreporter.section("faults and what they cost")
    terminalreporter.write_line(plain_table(tally.rows()))
    for remark in tally.remarks:
        terminalreporter.write_line(remark)
    if page := config.getoption("--keep", None):
        remarks = "".join(f"\n\n{remark}" for remark in tally.remarks)
        write_section(Path(page), "faults", markdown_table(tally.rows()) + remarks)


@pytest.fixture
def tally(pytestconfig: pytest.Config) -> Tally:
    return pytestconfig.stash.setdefault(TALLY, Tally())


@pytest.fixture(scope="session")
def size(pytestconfig: pytest.Config) -> Size:
    return Size(bool(pytestconfig.getoption("--whole", False)))


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for the session, with this device's ceilings in it, so that no run measures them."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        keep_ceilings(1e13, 1e11)
        yield folder


@pytest.fixture(scope="session")
def undisturbed(_cache: Path, size: Size, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run: every case, with the layers that are named after faults left sound."""
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(folder, make_plan(EVERY_FAULT, probes=size.probes), worker=WorkerOptions(threads=1))
    return folder


@pytest.fixture(scope="session")
def truth(undisturbed: Path) -> Truth:
    """Its records by key."""
    records = read_run(undisturbed).records
    assert len(records) == 30 + len(EVERY_FAULT)
    assert {record.status for record in records} == {"ok"}
    return {record.key: record for record in records}


@pytest.fixture
def sound(truth: Truth) -> Truth:
    """The undisturbed run's records of the cases that have no fault."""
    return {key: record for key, record in truth.items() if record.variant not in EVERY_FAULT}


@pytest.fixture(autouse=True)
def mark(_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mark all processes of the test, and end those that are left after it."""
    monkeypatch.setenv(MARK, uuid.uuid4().hex)
    yield
    end_leftovers()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the run goes; its witness stands beside it."""
    return tmp_path / "run"
