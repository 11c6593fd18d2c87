"""Bad luck has words of its own, in the record and in the report: one run on the CPU, through the real worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.engine.folder import Run, read_run
from harness.engine.keeper import WorkerOptions
from harness.record import FailedRecord
from reports import render
from tests.faults.luck import BACKWARDS, CLOCKS, INFINITY, NAN, STILL
from tests.faults.sweeps import HEAD, failed, ok, program, sweep, witness_of

ROUNDS = 2
MEASURE = f"""
[measure]
probes = ["routing", "phases", "energy", "latency"]
rounds = {ROUNDS}
seconds_per_visit = 0.005
min_samples = 20
"""
SOUND, BOX = "sound", "black-box"
MODULE = """
import torch

def build(case):
    return torch.nn.Linear(case.d_model, case.d_model)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, _cache: Path) -> Run:
    """One run with all of it, and its report."""
    folder = tmp_path_factory.mktemp("luck") / "run"
    folder.with_name("nobodys_layer.py").write_text(MODULE, "utf-8")
    layers = dict.fromkeys((SOUND, *CLOCKS, NAN, INFINITY), "dense") | {BOX: "nobodys_layer:build"}
    tables = [f'[[variant]]\nname = "{name}"\nlayer = "{layer}"\nbatch = 2' for name, layer in layers.items()]
    chosen = plan(parse_suite("\n".join([HEAD, *tables, MEASURE]), str(folder.with_name("luck.toml"))))
    options = WorkerOptions(threads=1, program=program(witness_of(folder)))
    assert sweep(folder, chosen, worker=options).status == "complete"
    render(folder, html=folder / "report.html")
    return read_run(folder)


def is_told(run: Run, words: str) -> bool:
    """Return whether the page says `words`, and where a case has no numbers, the summary too."""
    return words in (run.folder / "report.html").read_text("utf-8")


def is_summed_up(run: Run, record: FailedRecord) -> bool:
    summary = (run.folder / "summary.md").read_text("utf-8").replace("\\", "")
    return f"- {record.id}: {record.status}, {record.reason}" in summary


def test_a_sound_case_beside_them_has_its_numbers(ran: Run) -> None:
    assert float(ok(ran, SOUND).metrics["latency_ms"].value) > 0


@pytest.mark.parametrize("variant", [NAN, INFINITY])
def test_an_output_that_is_no_number_is_incorrect_and_has_no_time(ran: Run, variant: str) -> None:
    record = failed(ran, variant)
    assert (record.status, record.reason) == ("incorrect", "the output holds NaN or infinity")
    assert not [line for line in ran.lines if line.key == record.key and line.probe == "latency"]
    assert is_told(ran, record.reason)
    assert is_summed_up(ran, record)


@pytest.mark.parametrize(
    ("variant", "end", "words"),
    [
        (BACKWARDS, "clock_backwards", "the clock went backwards, in latency: a block of 1 call took -2 ms"),
        (STILL, "clock_still", "no time passed on the clock, in latency: a block of "),
    ],
)
def test_a_clock_that_is_none_has_words_of_its_own(ran: Run, variant: str, end: str, words: str) -> None:
    record = failed(ran, variant)
    assert (record.status, record.end) == ("crashed", end)
    assert record.reason.startswith(words)
    assert is_told(ran, record.reason)
    assert is_summed_up(ran, record)


def test_times_that_never_settle_are_marked_kept_and_told(ran: Run) -> None:
    record = ok(ran, "never-settles")
    assert record.marks["unsettled"] == ROUNDS
    assert [note for note in record.notes if note.startswith("never settled: ")], record.notes
    assert "latency_ms" in record.metrics, "the samples were thrown away"
    assert is_told(ran, "never settled: over half of a visit")
    assert is_told(ran, "taken before the times of blocks had settled")


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (SOUND, "routing is not measured: this layer has no router"),
        (BOX, "routing is not measured: nobody can look into this layer"),
        (BOX, "phases are not measured: this layer marks none"),
        (SOUND, "energy is not measured: "),
    ],
)
def test_a_probe_that_cannot_be_given_says_why(ran: Run, variant: str, words: str) -> None:
    record = ok(ran, variant)
    assert [note for note in record.notes if note.startswith(words)], record.notes
    assert is_told(ran, words)
    lacking = words.partition(" ")[0]
    prefix = {"routing": "load_", "phases": "phase_", "energy": "energy_"}[lacking]
    assert not [name for name in record.metrics if name.startswith(prefix)], "a number where there is none"
