"""The wall clock set back in the midst of a run: nothing that is measured or kept hangs on it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

import reports
from harness.engine import journal
from tests.faults.conftest import Size
from tests.faults.killers import finished, start, wait_until_begun
from tests.faults.sweeps import make_plan, suite_file, sweep
from tests.faults.tally import Counts, Tally, Truth, count

SOURCE = Path(__file__).with_name("clock.c")
HOUR_S = 3600


class Backwards(datetime):
    """A clock that has been set back by an hour whenever it is looked at."""

    _looks = itertools.count()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Backwards:
        return super().now(tz) - timedelta(hours=next(cls._looks))


def test_a_clock_that_runs_backwards(
    folder: Path, sound: Truth, tally: Tally, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner's clock alone; the run is reported all the same."""
    monkeypatch.setattr(journal, "datetime", Backwards)
    monkeypatch.setattr(time, "time", lambda: Backwards.now().timestamp())
    sweep(folder, make_plan(probes=size.probes))
    reports.render(folder, html=folder / "report.html")
    lines = journal.read_journal(folder / "journal.jsonl")
    assert lines[-1].started < lines[0].started
    assert all(0 < line.seconds < 60 for line in lines)
    tally.add("clock set back (runner)", count(folder, sound, injected=len(lines), in_flight=0))


def test_a_clock_set_back_under_all_processes(
    folder: Path, sound: Truth, tally: Tally, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runner and worker, whose wall clock goes back by a day in the midst of the run, and then by two hours more."""
    if not size.whole:
        pytest.skip("in the whole form alone: `nox -s faults`")
    clock, counts = _preload_clock(folder.parent, monkeypatch), Counts()
    for hours in (24, 48):
        run = folder.with_name(f"back-{hours}")
        clock.write_text("0")
        process = start(run, "run", suite_file(run, probes=size.probes), "-o", run, "--threads", "1")
        for visits, back in ((20, hours), (60, hours + 2)):
            wait_until_begun(run, visits)
            clock.write_text(str(-back * HOUR_S))
        code, errors = finished(process)
        assert code == 0, errors
        lines = journal.read_journal(run / "journal.jsonl")
        assert lines[-1].started < lines[0].started
        counts += count(run, sound, injected=2, in_flight=0)
    tally.add("clock set back (all processes)", counts)


def _preload_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the processes to come a wall clock that is set off by the seconds in the file whose path is returned."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library, clock = folder / "clock.so", folder / "clock"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("CLOCK_OFFSET", str(clock))
    return clock
