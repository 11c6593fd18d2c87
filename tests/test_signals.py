from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from harness.engine.signals import INTERRUPTED, stop_requests

PROGRAM = """
import os, signal, sys
from harness.engine.signals import stop_requests
with stop_requests() as stopped:
    for number in map(int, sys.argv[1:]):
        os.kill(os.getpid(), number)
    print(stopped())
print("the report")
"""


def ended(*numbers: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, map(int, numbers))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("numbers", "asked"), [((), False), ((signal.SIGINT,), True), ((signal.SIGINT, signal.SIGTERM), True)]
)
def test_up_to_two_signals_are_a_question(numbers: tuple[int, ...], asked: bool) -> None:
    done = ended(*numbers)
    assert (done.returncode, done.stdout) == (0, f"{asked}\nthe report\n")
    assert done.stderr.startswith("harness: the run is being ended" if len(numbers) == 2 else "")
    assert done.stderr.count("\n") == max(0, len(numbers) - 1)


def test_a_third_ends_the_process_where_it_stands() -> None:
    done = ended(signal.SIGINT, signal.SIGINT, signal.SIGINT)
    assert (done.returncode, done.stdout) == (INTERRUPTED, "")
    assert "ended at once" in done.stderr.splitlines()[-1]


def test_the_handlers_of_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_requests():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
