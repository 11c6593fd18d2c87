"""`harness compare` as a user calls it: on runs that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sweeps import make_plan, measure
from tests.test_cli import harness


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs of scripted workers: `one` and `two` alike, `three` of another case."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for name, variants in (("one", "ab"), ("two", "ab"), ("three", "c")):
            measure(folder / name, make_plan(*variants, probes='"latency", "determinism"', rounds=6))
    return folder


def test_two_runs_alike(runs: Path) -> None:
    done = harness("compare", runs / "one", runs / "two", "-o", runs / "compared.md")
    assert done.returncode == 0, done.stderr
    assert "two against one" in done.stdout
    assert "Not listed" in done.stdout
    assert (runs / "compared.md").read_text("utf-8").startswith("# two against one")
    assert f"harness report {runs / 'two'} --baseline {runs / 'one'}" in done.stderr
    told = json.loads(harness("compare", runs / "one", runs / "two", "--json").stdout)
    assert (told["schema"], told["comparable"]) == (1, True)


def test_nothing_in_common_is_exit_4(runs: Path) -> None:
    done = harness("compare", runs / "one", runs / "three")
    assert done.returncode == 4
    assert "no case in common" in done.stderr


def test_what_is_no_run_is_exit_2(runs: Path) -> None:
    done = harness("compare", runs / "one", runs / "nothing")
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert done.stdout == ""


def test_a_file_that_cannot_be_written_is_exit_2(runs: Path) -> None:
    done = harness("compare", runs / "one", runs / "two", "-o", runs / "none" / "compared.md")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "compared.md" in done.stderr
