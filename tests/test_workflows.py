"""The workflows, read as GitHub reads them: what must hold of them, and actionlint where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def workflow(name: str) -> dict[str, Any]:
    found: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8"))
    found["on"] = found.pop(True)  # YAML 1.1 takes `on` for a truth
    return found


NIGHTLY, CI = workflow("nightly-gpu"), workflow("ci")
GPU = NIGHTLY["jobs"]["gpu"]
STEPS: list[dict[str, Any]] = GPU["steps"]


def place(words: str, steps: list[dict[str, Any]] = STEPS) -> int:
    """Return where the step stands that runs or uses these words."""
    (found,) = [n for n, step in enumerate(steps) if words in step.get("run", "") + step.get("uses", "")]
    return found


def test_there_are_two() -> None:
    assert [file.stem for file in FILES] == ["ci", "nightly-gpu"]


@pytest.mark.parametrize("found", [NIGHTLY, CI], ids=["nightly-gpu", "ci"])
def test_every_workflow_has_an_end_and_few_rights(found: dict[str, Any]) -> None:
    assert found["permissions"] == {"contents": "read"}
    assert "group" in found["concurrency"]
    for job in found["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 240
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step
            assert "inputs." not in step.get("run", "") + step.get("name", ""), (
                "a script takes inputs by its environment"
            )
            assert "github.event" not in step.get("run", "")


def test_the_gpu_is_out_of_a_pull_requests_reach() -> None:
    assert set(NIGHTLY["on"]) == {"schedule", "workflow_dispatch"}
    assert set(NIGHTLY["on"]["workflow_dispatch"]["inputs"]) == {"suite", "baseline", "keep_as"}
    assert "vars.NIGHTLY_GPU == 'true'" in NIGHTLY["jobs"]["baseline"]["if"]  # forks have no such variable
    assert GPU["needs"] == "baseline"
    assert NIGHTLY["concurrency"]["cancel-in-progress"] is False
    assert "self-hosted" in GPU["runs-on"]
    assert "permissions" not in GPU


def test_the_gpu_is_looked_at_before_and_its_clocks_given_back_after_whatever_happened() -> None:
    check, lock, night, restore = (place(words) for words in ("gpu check", "gpu lock", "-s nightly", "gpu restore"))
    assert check < lock < night < restore
    assert '--expect "$EXPECT_GPU"' in STEPS[check]["run"]
    assert STEPS[restore]["if"] == "always()"


def test_everything_is_kept_before_the_gate_which_is_the_last() -> None:
    upload, gate = place("upload-artifact"), place("nightly --of night")
    assert STEPS[upload]["if"] == "always()"
    assert STEPS[upload]["with"]["retention-days"] == 90
    assert "--exit-zero" in STEPS[place("-s nightly")]["run"]
    assert upload < gate == len(STEPS) - 1
    assert "continue-on-error" not in str(NIGHTLY)


def test_only_the_jobs_without_a_gpu_may_write_and_each_one_thing() -> None:
    jobs = NIGHTLY["jobs"]
    writes = {name: [right for right, level in job.get("permissions", {}).items() if level == "write"]
              for name, job in jobs.items()}  # fmt: skip
    assert writes == {"baseline": [], "gpu": [], "issue": ["issues"], "keep": ["contents"]}
    for name in ("issue", "keep"):
        assert "self-hosted" not in jobs[name]["runs-on"]
        assert jobs[name]["if"].startswith("always()")
    assert "inputs.keep_as != ''" in jobs["keep"]["if"]


def test_ci_times_nothing_and_gates_what_is_exact() -> None:
    assert set(CI["on"]) == {"push", "pull_request"}
    assert CI["jobs"]["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    steps = CI["jobs"]["night"]["steps"]
    assert "--policy exact" in steps[-2]["run"]
    assert steps[-1]["if"] == "always()"
    assert ".ci/run" in CI["jobs"]["tests"]["steps"][-1]["run"]


def test_every_option_that_a_workflow_gives_is_one_of_the_commands() -> None:
    from tests.test_cli import harness

    text = harness("nightly", "--help").stdout
    runs = [step.get("run", "") for found in (NIGHTLY, CI) for job in found["jobs"].values() for step in job["steps"]]
    given = {
        option for run in runs if "-s nightly" in run for option in re.findall(r"(--[a-z-]+) ", run.partition("-- ")[2])
    }
    assert given
    assert not {option for option in given if option not in text}


def test_actionlint_has_nothing_to_say() -> None:
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed; `nox -s workflows` runs it by npx where Node.js is")
    done = subprocess.run([program, *map(str, FILES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
