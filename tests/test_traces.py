"""Traces of the profiled passes: whole where they are said to be kept, and words where they cannot be."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.devices.cpu import CpuDevice
from harness.engine.folder import read_run
from harness.engine.keeper import WorkerOptions
from harness.engine.protocol import Request
from harness.engine.runner import run
from harness.engine.worker import Worker
from harness.layers import build
from harness.probes import Settings, make_subject, phases
from harness.probes.traces import file_name
from reports import render
from tests.cases import dense, token_choice
from tests.sweeps import make_plan


def traced(folder: Path, case: Case | None = None) -> list[str]:
    """Return the notes of the phases probe that keeps its trace in `folder`."""
    chosen = case or token_choice(pass_="forward_backward")
    subject = make_subject(chosen, build(chosen))
    return phases.measure(subject, CpuDevice(), Settings(traces=str(folder))).notes


def events(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        found: list[dict[str, Any]] = json.load(text)["traceEvents"]
    return found


def test_a_trace_holds_the_ranges_and_the_links_to_the_backward_pass(tmp_path: Path) -> None:
    case = token_choice(pass_="forward_backward")
    assert f"a trace of the phases is kept in traces/{case.id}.json.gz" in traced(tmp_path / "traces", case)
    (path,) = (tmp_path / "traces").iterdir()
    seen = events(path)
    names = {event.get("name") for event in seen}
    assert {"harness::forward", "harness::backward", "moe::router", "moe::experts", "moe::combine"} <= names
    assert any(event.get("cat") == "fwdbwd" for event in seen)


def test_without_being_asked_none_is_kept(tmp_path: Path) -> None:
    subject = make_subject(dense(), build(dense()))
    assert not any("trace" in note for note in phases.measure(subject, CpuDevice(), Settings()).notes)


def test_a_folder_that_cannot_be_made_costs_words_and_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file stands in its place")
    case = dense()
    subject = make_subject(case, build(case))
    outcome = phases.measure(subject, CpuDevice(), Settings(traces=str(tmp_path / "traces")))
    assert "phase_experts_share" in outcome.values
    assert f"no trace was kept: traces/{case.id}.json.gz cannot be written (File exists)" in outcome.notes


def test_a_full_disk_costs_words_and_leaves_no_half_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kineto writes what fits and says nothing: the planted fault cuts the file short."""
    from torch.profiler import profile

    whole = profile.export_chrome_trace

    def cut_short(self: profile, path: str) -> None:
        whole(self, path)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: content.index(b"}", len(content) // 2) + 1])  # ends as a whole one does

    monkeypatch.setattr(profile, "export_chrome_trace", cut_short)
    (note,) = (note for note in traced(tmp_path / "traces") if "trace" in note)
    assert note.startswith("no trace was kept")
    assert "is the disk full?" in note
    assert list((tmp_path / "traces").iterdir()) == []


def test_names_are_safe_and_no_two_are_one() -> None:
    assert file_name(dense()) == dense().id
    odd = [replace(dense(), variant=name) for name in ("a/b", "a:b", "../a", "x" * 300)]
    names = [file_name(case) for case in odd]
    assert len(set(names)) == 4
    assert all("/" not in name and not name.startswith(".") and len(name) < 200 for name in names)


def test_the_worker_is_told_the_folder(tmp_path: Path) -> None:
    case = dense()
    request = Request(0, case.variant, case.as_dict(), "phases", {"seed": 0})
    Worker(CpuDevice(), traces=str(tmp_path)).visit(request)
    assert [path.name for path in tmp_path.iterdir()] == [f"{case.id}.json.gz"]
    told = WorkerOptions(trace=True).command("cpu", traces=tmp_path)
    assert told[-2:] == ["--traces", str(tmp_path)]
    assert "--traces" not in WorkerOptions().command("cpu", traces=tmp_path)


def test_a_run_with_traces_links_them_from_its_rows(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    chosen = make_plan("a", probes='"phases"', rounds=1)
    run(chosen, folder, device_kind="cpu", worker=WorkerOptions(threads=1, trace=True))
    name = f"traces/{chosen.cases[0].case.id}.json.gz"
    assert events(folder / name)
    assert read_run(folder).document["trace"] is True
    inside = render(folder, html=folder / "report.html").html.read_text("utf-8")
    assert f'<a href="{name}">{name}</a>' in inside
    beside = render(folder, html=tmp_path / "page.html").html.read_text("utf-8")
    assert f'<a href="run/{name}">{name}</a>' in beside
