"""`harness export`: the table holds what the records hold, and pytest-benchmark reads what it is given."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from harness.case import Case
from harness.cli import app
from harness.record import OkRecord
from reports.export import BINARY, FORMATS, Format, ReportError, export
from reports.export.table import frame
from reports.read import read_run
from reports.results import Run
from tests.fake_run import fail, quick_cases, write_run
from tests.test_cli import harness

WHY = 'the output differs from the reference, by "12" eps,\nin all'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of dense, sparse and soft cases, of which one is incorrect and one has no time."""
    cases = [case for case in quick_cases() if case.d_model == 384][:12]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        if case is cases[1]:
            return fail(record, "incorrect", WHY)
        if case is cases[2]:
            del record["metrics"]["latency_ms"], record["metrics"]["tokens_per_s"]
        return record

    return write_run(tmp_path_factory.mktemp("run"), cases, edit=edit)


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return read_run(folder)


def command(*arguments: str | Path) -> Result:
    """Run `harness export` in this process."""
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_a_row_a_case_and_every_number_as_the_record_has_it(run: Run) -> None:
    table = frame(run)
    assert list(table["id"]) == [result.id for result in run.results]
    for (_, row), result in zip(table.iterrows(), run.results, strict=True):
        record = run.records[result.key]
        assert row["status"] == record.status
        for name, metric in record.metrics.items() if isinstance(record, OkRecord) else ():
            assert row[name] == metric.value
            for end in ("low", "high", "n"):
                kept = getattr(metric, end)
                assert kept is None or row[f"{name}_{end}"] == kept


def test_axes_are_columns_of_their_own_kind(run: Run) -> None:
    table = frame(run)
    assert str(table["experts"].dtype) == "Int64"
    assert str(table["params"].dtype) == "Int64", "a count of parameters is no float, also where a case has none"
    assert str(table["latency_ms"].dtype) == "Float64"
    assert str(table["gated"].dtype) == "boolean"
    assert list(table["pass"]) == [result.case.pass_ for result in run.results]
    assert set(table["device"]) == {"Test CPU (invented)"}


def test_a_case_without_numbers_is_a_row_with_its_reason(run: Run) -> None:
    row = frame(run).iloc[1]
    assert (row["status"], row["reason"]) == ("incorrect", WHY)
    assert pd.isna(row["latency_ms"])
    assert pd.isna(row["params"])


def test_csv_and_parquet_and_json_hold_one_table(run: Run) -> None:
    table = frame(run)
    read = pd.read_csv(io.BytesIO(export(run, "csv")), dtype=dict(table.dtypes))
    pd.testing.assert_frame_equal(read, table)
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(export(run, "parquet"))), table, check_dtype=False)
    rows = json.loads(export(run, "json"))["rows"]
    for name in table.columns:
        assert [row[name] for row in rows] == [None if pd.isna(value) else value for value in table[name]]


def test_json_says_units_and_its_schema(run: Run) -> None:
    document = json.loads(export(run, "json"))
    assert document["schema"] == 1
    assert document["units"]["latency_ms"] == "ms"
    assert document["units"]["memory_peak_bytes"] == "B"
    assert document["rows"][0]["params"] == int(document["rows"][0]["params"])


def test_pytest_benchmark_gets_rounds_as_data_and_its_own_statistics(run: Run) -> None:
    document = json.loads(export(run, "pytest-benchmark"))
    result, benchmark = run.results[0], document["benchmarks"][0]
    assert benchmark["name"] == result.id
    assert benchmark["stats"]["data"] == [pytest.approx(ms * 1e-3) for ms in result.rounds() if ms]
    assert benchmark["stats"]["median"] == pytest.approx((result.ms or 0) * 1e-3)
    assert benchmark["extra_info"]["memory_peak_bytes"] == result.number("memory_peak_bytes")
    assert benchmark["params"]["experts"] == result.case.experts
    assert document["machine_info"]["moe_harness"]["device"]["name"] == "Test CPU (invented)"


def test_what_has_no_time_is_told_beside_the_benchmarks(run: Run) -> None:
    document = json.loads(export(run, "pytest-benchmark"))
    assert len(document["benchmarks"]) == len(run.results) - 2
    untimed = {entry["id"]: (entry["status"], entry["reason"]) for entry in document["moe_harness"]["not_measured"]}
    assert untimed == {
        run.results[1].id: ("incorrect", WHY),
        run.results[2].id: ("ok", "its latency was not measured"),
    }


def test_pytest_benchmark_compares_two_runs(run: Run, tmp_path: Path) -> None:
    for name in ("base", "candidate"):
        (tmp_path / f"{name}.json").write_bytes(export(run, "pytest-benchmark"))
    compare = [sys.executable, "-m", "pytest_benchmark", "compare", "base.json", "candidate.json"]
    done = subprocess.run([*compare, "--between", "median"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for result in run.results:
        assert (result.id in done.stdout) == (result.ms is not None)


def test_a_run_without_times_has_nothing_for_pytest_benchmark(run: Run) -> None:
    untimed = Run("none", run.file, {key: run.records[key] for key in (run.results[1].key, run.results[2].key)})
    with pytest.raises(ReportError, match="no case of none has a time"):
        export(untimed, "pytest-benchmark")


@pytest.mark.parametrize(("form", "extra"), [("parquet", "parquet"), ("pytest-benchmark", "pytest")])
def test_a_package_that_is_missing_is_named(
    run: Run, form: Format, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pytest_benchmark.stats", None)
    with pytest.raises(ReportError, match=rf'pip install "moe-harness\[{extra}\]"'):
        export(run, form)


def test_the_command_writes_what_the_room_gives(run: Run, folder: Path, tmp_path: Path) -> None:
    shown = harness("export", folder)
    assert shown.stdout.encode() == export(run, "csv")
    assert "1 of 12 cases have no numbers" in shown.stderr
    assert command(folder, "-o", tmp_path / "run.json").stdout.strip() == str(tmp_path / "run.json")
    assert (tmp_path / "run.json").read_bytes() == export(run, "json"), "the file's name says the format"
    command(folder, "--format", "pytest-benchmark", "-o", tmp_path / "pb.json")
    assert (tmp_path / "pb.json").read_bytes() == export(run, "pytest-benchmark")
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["RUN", "--format", "xls"], "--format xls: expected csv, parquet, json, pytest-benchmark or svg"),
        (["RUN", "--format", "parquet"], "--format parquet is no text: name a file with -o"),
        (["nowhere"], "nowhere is not a run folder"),
        (["RUN", "--format", "json", "-o", "RUN/run.json"], "is a file of the run itself"),
        (["RUN", "-o", "nowhere/table.csv"], "nowhere/table.csv cannot be written: the folder nowhere does not exist"),
        (["RUN", "-o", "RUN/run.json/table.csv"], "run.json is no folder, but a file"),
        (["RUN", "-o", "RUN"], "is a folder: name a file in it, or write the charts there with --format svg"),
        (["RUN", "--format", "csv", "-o", "RUN"], "is a folder: name a file in it"),
        (["RUN", "-o", "table.txt"], "table.txt: its name says no format; end it in .csv, .parquet, .json"),
        (["RUN", "--format", "csv", "-o", "/dev/null"], "/dev/null is no regular file"),
        (["RUN", "--format", "svg"], "--format svg is a file a chart: name a folder with -o"),
        (
            ["RUN", "--format", "svg", "-o", "RUN/run.json"],
            "run.json is a file, and --format svg writes a file a chart",
        ),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], sentence: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (folder / "run.json").read_bytes()
    done = command(*(word.replace("RUN", str(folder)) for word in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert (folder / "run.json").read_bytes() == before


def test_the_formats_are_those_that_the_command_names() -> None:
    told = command("--help").stdout
    assert all(form in " ".join(told.split()) for form in FORMATS)
    assert set(BINARY) < set(FORMATS)
