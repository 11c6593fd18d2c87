"""How long a user waits before a command says anything: at most 0.5 s for the help."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize(
    "arguments", [["--help"], ["suites"], ["plan", "quick"], ["count", "deepseek-v3"]], ids=" ".join
)
def test_a_command_from_start_to_end(benchmark: BenchmarkFixture, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    benchmark.pedantic(_end, (command,), rounds=10, warmup_rounds=1)  # type: ignore[no-untyped-call]


def _end(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
