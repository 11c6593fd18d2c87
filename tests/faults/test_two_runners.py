"""Two runs that want one folder, or one device: the second is refused in words, the first is none the worse."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Size
from tests.faults.killers import finished, start, wait_until_begun
from tests.faults.sweeps import suite_file
from tests.faults.tally import Counts, Tally, Truth, count


def test_a_second_runner_is_refused(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    suite, elsewhere = suite_file(folder, probes=size.probes), _another_cache(folder)
    first = start(folder, "run", suite, "-o", folder, "--threads", "1")
    wait_until_begun(folder, 5)
    other = folder.with_name("other")
    attempts = {
        "the folder": start(folder, "run", "--resume", folder, XDG_CACHE_HOME=elsewhere),
        "the device": start(other, "run", suite, "-o", other, "--threads", "1"),
        "is not empty": start(folder, "run", suite, "-o", folder, XDG_CACHE_HOME=elsewhere),
    }
    for words, attempt in attempts.items():
        code, errors = finished(attempt)
        assert (code, words in errors) == (2, True), errors
        assert words == "is not empty" or f"process {first.pid}" in errors
    assert not other.exists()
    code, errors = finished(first)
    assert code == 0, errors
    tally.add("second runner while the first runs", count(folder, sound, injected=3, in_flight=0))


def test_two_that_resume_at_once(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    """One of them has the run; the other is refused, or finds it done."""
    if not size.whole:
        pytest.skip("in the whole form alone: `nox -s faults`")
    counts = Counts()
    for number in range(5):
        run = folder.with_name(f"contended-{number}")
        first = start(run, "run", suite_file(run, probes=size.probes), "-o", run, "--threads", "1")
        wait_until_begun(run, 5)
        first.send_signal(signal.SIGTERM)
        code, errors = finished(first)
        assert code == 130, errors
        both = [start(run, "run", "--resume", run, XDG_CACHE_HOME=cache) for cache in _two_caches(run)]
        codes = sorted(finished(process)[0] for process in both)
        assert codes in ([0, 2], [0, 0]), codes
        counts += count(run, sound, injected=2, in_flight=1)
    tally.add("two that resume at once", counts)


def _another_cache(folder: Path) -> str:
    """Return a cache folder whose locks are its own: the device's does not come before the folder's."""
    copy = folder.with_name("cache-copy")
    shutil.copytree(os.environ["XDG_CACHE_HOME"], copy, ignore=shutil.ignore_patterns("locks"), dirs_exist_ok=True)
    return str(copy)


def _two_caches(folder: Path) -> tuple[str, str]:
    return os.environ["XDG_CACHE_HOME"], _another_cache(folder)
