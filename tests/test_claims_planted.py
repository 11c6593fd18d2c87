"""Claims held against real layers: each group has one that holds, and a layer made to violate it turns it over."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.claims import decided
from reports.context import Context
from reports.read import read_run
from tests.ceilings import keep_ceilings
from tests.test_cli import harness

PLUGINS = Path(__file__).parent / "plugins"
Measured = tuple[Path, subprocess.CompletedProcess[str]]
GROUPS = ("counts", "cost", "memory", "scaling", "determinism", "routing")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Return the folder of a real run of the planted layers under `--gate`, and how the command ended."""
    folder = tmp_path_factory.mktemp("planted")
    for name in ("planted.toml", "planted.py"):
        shutil.copy(PLUGINS / name, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        keep_ceilings()
    cache = str(folder / "cache")
    done = harness("run", folder / "planted.toml", "-o", folder / "run", "--gate", "--json", XDG_CACHE_HOME=cache)
    return folder / "run", done


@pytest.mark.parametrize("group", GROUPS)
def test_a_layer_that_violates_a_claim_turns_it_over(measured: Measured, group: str) -> None:
    folder, _ = measured
    verdicts = {one.id: one.verdict for one in decided(Context(read_run(folder)))}
    assert verdicts[f"{group}-honest"] == "confirmed"
    assert verdicts[f"{group}-planted"] == "refuted"


def test_the_gate_of_a_run_ends_with_1_and_names_what_is_refuted(
    measured: Measured,
) -> None:
    _, done = measured
    assert done.returncode == 1, done.stderr
    assert "12 claims: 6 confirmed and 6 refuted" in done.stderr
    for group in GROUPS:
        assert f"REFUTED {group}-planted: " in done.stderr
        assert f"REFUTED {group}-honest" not in done.stderr
    assert json.loads(done.stdout)["claims"]["memory-planted"] == "refuted"


def test_without_the_gate_a_refuted_claim_is_only_counted(
    measured: Measured,
) -> None:
    folder, _ = measured
    cache = str(folder.parent / "cache")
    done = harness("run", "--resume", folder, XDG_CACHE_HOME=cache)
    assert done.returncode == 0, done.stderr
    assert "6 refuted" in done.stderr
    assert "REFUTED" not in done.stderr
    assert harness("run", "--resume", folder, "--gate", XDG_CACHE_HOME=cache).returncode == 1


def test_a_gate_that_cannot_fail_is_refused(tmp_path: Path) -> None:
    done = harness("run", "smoke", "--gate", "-o", tmp_path / "run")
    assert done.returncode == 2
    assert "--gate fails where a claim is refuted, and smoke states none" in done.stderr
    assert not (tmp_path / "run").exists()
