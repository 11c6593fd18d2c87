from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.declare.plan import plan
from harness.declare.planned import Plan
from harness.declare.suite import parse_suite
from harness.devices.ceilings import Ceilings
from harness.devices.interface import NoSuchDevice
from harness.devices.names import detect
from harness.engine import folder as folders
from harness.engine import keeper, process
from harness.engine.folder import read_run
from harness.engine.journal import RunFolderError, WriteError, read_journal
from harness.engine.locks import Busy, device_lock, folder_lock
from harness.engine.manifest import ResumeMismatch
from harness.engine.progress import Silent
from harness.engine.runner import WorkerFailed, run
from harness.engine.sources import Sources
from harness.record import FailedRecord, OkRecord
from tests.sweeps import answered, make_plan, measure, scripted, with_cases


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "run"


def outcomes(folder: Path) -> dict[str, str]:
    return {record.variant: record.status for record in read_run(folder).records}


def reason(folder: Path, variant: str) -> str:
    (record,) = [record for record in read_run(folder).records if record.variant == variant]
    assert isinstance(record, FailedRecord)
    return record.reason


def test_a_run_holds_a_record_for_every_case_and_a_line_for_every_visit(folder: Path) -> None:
    chosen = make_plan("a", "b", probes='"latency", "determinism"', rounds=3)
    result = measure(folder, chosen, command="harness run test --device cpu")
    assert (result.status, result.visited, result.reused) == ("complete", 10, 0)
    run = read_run(folder)
    assert [line.visit for line in run.lines] == list(range(10))
    assert run.records == list(result.records)
    assert [record.key for record in run.records] == [planned.case.key for planned in chosen.cases]
    first = run.records[0]
    assert isinstance(first, OkRecord)
    assert first.metrics["latency_ms"].rounds == [1.1, 1.1, 1.1]
    assert first.metrics["latency_ms"].n == 9
    assert first.metrics["det_run"].n == 16
    assert first.backend == "fused"
    document = run.document
    assert (document["status"], document["command"]) == ("complete", "harness run test --device cpu")
    assert document["device"]["threads"] == 1
    assert document["device"]["kind"] == "cpu"
    assert document["finished"] >= document["started"]
    assert {"suite", "cases", "environment", "harness", "ceilings", "seed"} <= set(document)


def test_each_round_has_a_process_of_its_own(folder: Path) -> None:
    measure(folder, make_plan("one", "two", rounds=3, probes='"memory", "latency"'))
    processes: defaultdict[int | None, set[int | None]] = defaultdict(set)
    for line in read_journal(folder / "journal.jsonl"):
        processes[line.round].add(line.worker)
    assert {round_: len(pids) for round_, pids in processes.items()} == {None: 1, 0: 1, 1: 1, 2: 1}
    assert len(set().union(*processes.values())) == 4


def test_a_line_says_what_the_engine_took_for_itself(folder: Path) -> None:
    measure(folder, make_plan("a"))
    for line in read_run(folder).lines:
        assert line.seconds >= line.inside + line.build
        assert line.state == {"load_1min": 0.5}
        assert line.worker not in (None, os.getpid())


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("segfault", "crashed", "killed by signal 11 (SIGSEGV), in latency"),
        ("exits", "crashed", "exited with code 0 before it answered, in latency"),
        ("orphan", "crashed", "exited with code 3 before it answered, in latency"),
        ("rubbish", "crashed", "not a line of the worker protocol: b'rubbish that is no answer'"),
        ("oom", "oom", "out of memory on cpu: scripted"),
        ("raises", "crashed", "ValueError: scripted"),
        (
            "no-time",
            "crashed",
            "answer in latency cannot be kept: Value error, latency_ms has a sample that is not above 0",
        ),
        ("wrong", "incorrect", "the output differs"),
    ],
)
def test_a_fault_is_its_own_cases_alone(folder: Path, fault: str, status: str, words: str) -> None:
    result = measure(folder, make_plan("before", fault, "after"))
    assert result.status == "complete"
    assert outcomes(folder) == {"before": "ok", fault: status, "after": "ok"}
    assert words in reason(folder, fault)


def test_a_case_that_failed_is_not_visited_again(folder: Path) -> None:
    measure(folder, make_plan("raises", "a", rounds=4))
    assert answered(folder)["raises latency"] == 1
    assert answered(folder)["a latency"] == 4


def test_a_visit_that_takes_too_long_is_given_up(folder: Path) -> None:
    measure(folder, make_plan("hang", "after", timeout=0.5))
    assert outcomes(folder) == {"hang": "timeout", "after": "ok"}
    assert reason(folder, "hang") == "no answer within 0.5 s, in latency; the worker was ended"


def test_a_worker_that_ignores_sigterm_ends_with_its_children(folder: Path) -> None:
    measure(folder, make_plan("stubborn", timeout=0.5))
    assert outcomes(folder) == {"stubborn": "timeout"}
    assert not psutil.pid_exists(int((folder.parent / "child").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="orphans can be adopted on Linux alone")
def test_an_orphan_in_a_session_of_its_own_ends_with_its_worker_and_leaves_no_zombie(folder: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    measure(folder, make_plan("daemon", "after"))
    assert outcomes(folder) == {"daemon": "ok", "after": "ok"}
    assert not psutil.pid_exists(int((folder.parent / "child").read_text()))
    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_case_that_eats_memory_is_out_of_it_before_the_machine_is(folder: Path) -> None:
    folder.mkdir()
    options = replace(scripted(folder.parent / "log"), memory_bytes=200 << 20)
    run(make_plan("eats", "after", timeout=60), folder, device_kind="cpu", worker=options)
    assert outcomes(folder) == {"eats": "oom", "after": "ok"}
    told = re.fullmatch(
        r"out of memory on the host, in latency: the worker held (\d+) MiB, and may hold 200 MiB \(--memory\)",
        reason(folder, "eats"),
    )
    assert told  # it was looked at some time after it had passed the limit, and long before the machine was full
    assert 200 < int(told[1]) < 1024
    assert {record.variant: record.end for record in read_run(folder).records}["eats"] == "oom_host"


def test_children_count_for_the_memory_that_a_worker_may_hold(folder: Path) -> None:
    folder.mkdir()
    options = replace(scripted(folder.parent / "log"), memory_bytes=200 << 20)
    run(make_plan("child-eats", timeout=60), folder, device_kind="cpu", worker=options)
    assert outcomes(folder) == {"child-eats": "oom"}


def test_what_a_visit_leaves_in_memory_is_not_charged_to_the_next(folder: Path) -> None:
    folder.mkdir()
    options = replace(scripted(folder.parent / "log"), memory_bytes=220 << 20)
    run(make_plan("leaks", rounds=1, probes='"latency", "memory"'), folder, device_kind="cpu", worker=options)
    run_ = read_run(folder)
    assert [(record.status, record.notes) for record in run_.records] == [("ok", [])]


def test_a_used_worker_that_runs_out_of_memory_is_doubted(folder: Path) -> None:
    measure(folder, make_plan("oom-once", probes='"memory"'))
    (record,) = read_run(folder).records
    assert record.status == "ok"
    assert record.notes == ["out of memory on cpu: scripted; the visit was made again in a new one"]


def test_a_spent_worker_makes_no_further_visit(folder: Path) -> None:
    measure(folder, make_plan("spent", probes='"memory", "routing"'))
    assert len({line.worker for line in read_run(folder).lines if line.probe in ("memory", "routing")}) == 2


@pytest.mark.parametrize(
    ("fault", "end", "code"),
    [
        ("segfault", "crashed_signal", -11),
        ("exits", "crashed_exit", 0),
        ("orphan", "crashed_exit", 3),
        ("rubbish", "crashed_protocol", None),
        ("oom", "oom_host", None),
        ("raises", "crashed_python", None),
        ("wrong", "incorrect", None),
    ],
)
def test_the_journal_tells_ends_apart(folder: Path, fault: str, end: str, code: int | None) -> None:
    measure(folder, make_plan(fault))
    run = read_run(folder)
    assert (run.lines[-1].end, run.lines[-1].exit_code) == (end, code)
    assert run.records[0].end == end


def test_a_worker_that_something_else_killed_costs_nothing(folder: Path) -> None:
    measure(folder, make_plan("killed-once", "after"))
    assert outcomes(folder) == {"killed-once": "ok", "after": "ok"}
    record = read_run(folder).records[0]
    assert record.notes == ["the worker was killed by signal 9 (SIGKILL); the visit was made again in a new one"]


def test_what_a_dead_worker_wrote_to_stderr_is_in_the_journal(folder: Path) -> None:
    measure(folder, make_plan("raises"))
    assert read_run(folder).lines[-1].detail == "Traceback: scripted"


def test_cases_that_cannot_run_have_a_record_and_no_visit(folder: Path) -> None:
    unsupported = with_cases(make_plan("a", "b"), unsupported="there is no such backend")
    measure(folder, unsupported)
    assert outcomes(folder) == {"a": "unsupported", "b": "ok"}
    assert reason(folder, "a") == "there is no such backend"
    assert "a check" not in answered(folder)


def test_a_case_that_does_not_fit_is_skipped_with_both_numbers(folder: Path) -> None:
    measure(folder, with_cases(make_plan("a"), fits=False))
    assert outcomes(folder) == {"a": "skipped"}
    assert reason(folder, "a").startswith("does not fit: needs ")
    assert "the device has" in reason(folder, "a")
    assert answered(folder) == {}


def test_ceilings_give_shares(folder: Path) -> None:
    ceilings = Ceilings("test", {"float32": 1e12}, 1e11, 1 << 34, "2026-01-01T00:00:00Z", "2.13.0")
    measure(folder, make_plan("a"), ceilings=ceilings)
    run = read_run(folder)
    record = run.records[0]
    assert isinstance(record, OkRecord)
    assert {"mfu", "hfu", "roofline_fraction", "tflops", "tokens_per_s"} <= set(record.metrics)
    assert run.document["ceilings"]["bytes_per_s"] == 1e11


def test_a_worker_without_the_device_ends_the_run_with_its_sentence_and_leaves_nothing(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    (folder.parent / "refuse").touch()
    with pytest.raises(NoSuchDevice, match="no CUDA device: scripted"):
        measure(folder, make_plan("a"))
    assert list(folder.iterdir()) == []


def test_a_device_that_goes_away_in_the_midst_of_a_run_costs_no_visit(folder: Path) -> None:
    chosen = make_plan("a", "refused-later")
    first = measure(folder, chosen)
    assert (first.status, first.end) == ("interrupted", "no_device")
    assert read_run(folder).document["end"] == "no_device"
    (folder.parent / "refuse").unlink()
    kept = len(read_run(folder).lines)
    assert kept > 0
    assert measure(folder, chosen, resume=True).reused == kept
    assert set(outcomes(folder).values()) == {"ok"}


def test_a_lost_device_ends_the_run_and_marks_what_is_left(folder: Path) -> None:
    result = measure(folder, make_plan("before", "device-lost", "after", probes='"latency"', rounds=1))
    assert (result.status, result.end) == ("interrupted", "no_device")
    ends = {record.variant: record.end for record in read_run(folder).records}
    assert ends["device-lost"] == "device_lost"
    assert reason(folder, "device-lost") == "the device was lost: CUDA error: scripted"
    assert {ends["before"], ends["after"]} <= {"ok"}, "both have their check"


def test_a_case_that_a_lost_device_left_out_says_so(folder: Path) -> None:
    (folder.parent / "lost-at-check").touch()
    measure(folder, make_plan("before", "device-lost", "after", probes='"latency"', rounds=1))
    assert outcomes(folder) == {"before": "ok", "device-lost": "crashed", "after": "skipped"}
    assert reason(folder, "after") == "the device was lost before it"


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let so many writes to disk succeed; the device is full from then on."""
    sync, left = os.fsync, iter(range(after))

    def scarce(fd: int) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        sync(fd)

    monkeypatch.setattr("harness.engine.journal.os.fsync", scarce)


@pytest.mark.parametrize("after", [2, 4, 5, 6, 8, 11, 12])
def test_a_full_disk_ends_the_run_with_a_sentence_and_it_can_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    chosen = make_plan("a", "b", rounds=2)
    full_disk(monkeypatch, after)
    with pytest.raises(WriteError, match=r"cannot be written: No space left on device$"):
        measure(folder, chosen)
    assert list(folder.glob("*.part")) + list(folder.glob(".*.part")) == []
    monkeypatch.setattr("harness.engine.journal.os.fsync", lambda fd: None)
    assert measure(folder, chosen, resume=True).status == "complete"
    assert set(outcomes(folder).values()) == {"ok"}
    assert [line.visit for line in read_run(folder).lines] == list(range(6))


def test_a_disk_that_is_full_from_the_start_is_left_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch, 0)
    with pytest.raises(WriteError, match=r"run\.json cannot be written"):
        measure(folder, make_plan("a"))
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_locked_is_named(folder: Path) -> None:
    (folder / ".lock").mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"\.lock cannot be locked: Is a directory; a run needs a folder that can"):
        measure(folder, make_plan("a"))


def test_a_device_is_locked_in_the_temporary_folder_where_the_cache_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nope")
    monkeypatch.setattr("tempfile.tempdir", str(folder.parent))
    with device_lock("x", Path("elsewhere")), pytest.raises(Busy, match="which has run in elsewhere"):  # noqa: SIM117
        with device_lock("x", folder):
            pass
    monkeypatch.setattr("tempfile.tempdir", "/proc/nope")
    with pytest.raises(RunFolderError, match="no lock for the device can be made in /proc/nope"):  # noqa: SIM117
        with device_lock("x", folder):
            pass


def test_a_run_that_a_busy_device_refused_leaves_the_folder_empty(folder: Path) -> None:
    with device_lock(detect("cpu").name, Path("elsewhere")), pytest.raises(Busy, match="the device"):
        measure(folder, make_plan("a"))
    assert list(folder.iterdir()) == []


def test_a_worker_that_never_starts_ends_the_run_with_what_it_said(folder: Path) -> None:
    (folder.parent / "broken").touch()
    with pytest.raises(WorkerFailed, match=r"(?s)3 were tried.*exited with code 1.*ImportError: scripted"):
        measure(folder, make_plan("a"))
    assert read_run(folder).document["status"] == "interrupted"
    assert outcomes(folder) == {"a": "skipped"}


def test_a_machine_that_has_no_process_left_is_asked_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, refusals = process.WorkerProcess, iter([True, False])

    def scarce(*arguments: Any) -> process.WorkerProcess:
        if next(refusals, False):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(*arguments)

    monkeypatch.setattr(keeper, "START_PAUSE_S", 0.01)
    monkeypatch.setattr(keeper, "WorkerProcess", scarce)
    measure(folder, make_plan("a"))
    assert outcomes(folder) == {"a": "ok"}


def test_a_program_that_is_not_there_ends_the_run_with_a_sentence(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(WorkerFailed, match="No such file"):
        run(make_plan("a"), folder, device_kind="cpu", worker=keeper.WorkerOptions(program=("no-such-program",)))


def interrupt_when(ready: Callable[[], bool], number: int = signal.SIGINT) -> threading.Thread:
    """Send this process a signal as soon as `ready`."""

    def watch() -> None:
        deadline = time.monotonic() + 20
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_a_valid_run_and_resume_measures_nothing_twice(folder: Path, number: int) -> None:
    chosen = make_plan("a", "b", "waits", "c", rounds=3)
    whole = 4 + 4 * 3
    thread = interrupt_when((folder.parent / "waiting").exists, number)
    start = time.monotonic()
    first = measure(folder, chosen)
    thread.join()
    assert time.monotonic() - start < 15
    assert first.status == "interrupted"
    assert read_run(folder).document["status"] == "interrupted"
    assert first.visited == len(read_run(folder).lines) < whole
    assert set(outcomes(folder)) == {"a", "b", "waits", "c"}
    (folder.parent / "go").touch()
    second = measure(folder, chosen, resume=True)
    assert (second.status, second.reused, second.visited) == ("complete", first.visited, whole - first.visited)
    assert sum(answered(folder).values()) == whole
    assert set(outcomes(folder).values()) == {"ok"}
    places = [line.place for line in read_run(folder).lines]
    assert len(set(places)) == len(places) == whole


def test_a_case_that_an_interrupt_left_out_says_so(folder: Path) -> None:
    thread = interrupt_when((folder.parent / "waiting").exists)
    measure(folder, make_plan("waits", probes='"latency"', rounds=2))
    thread.join()
    (record,) = read_run(folder).records
    assert isinstance(record, OkRecord)
    assert "latency_ms" not in record.metrics
    assert record.notes == ["the run was interrupted: 1 of this case's 3 visits were made"]


def test_the_handlers_of_before_are_put_back(folder: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    measure(folder, make_plan("a"))
    assert signal.getsignal(signal.SIGINT) is before


def cut(folder: Path, *, lines: int, torn: int) -> None:
    """Make the run look killed after so many journal lines and some bytes of the next."""
    journal = folder / folders.JOURNAL
    whole = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(whole[:lines]) + whole[lines][:torn])
    (folder / folders.RECORDS).unlink()
    document = json.loads((folder / folders.RUN).read_text())
    (folder / folders.RUN).write_text(json.dumps(document | {"status": "running", "finished": None}))


@pytest.mark.parametrize("torn", [0, 1, 60])
def test_a_killed_run_is_readable_and_resumes_without_the_torn_line(folder: Path, torn: int) -> None:
    chosen = make_plan("a", "b", rounds=2)
    measure(folder, chosen)
    cut(folder, lines=3, torn=torn)
    killed = read_run(folder)
    assert len(killed.lines) == 3
    assert len(killed.records) == 2
    result = measure(folder, chosen, resume=True)
    assert (result.reused, result.visited) == (3, 3)
    assert [line.visit for line in read_run(folder).lines] == list(range(6))


def test_settle_writes_the_records_of_a_killed_run(folder: Path) -> None:
    measure(folder, make_plan("a"))
    before = (folder / folders.RECORDS).read_bytes()
    cut(folder, lines=2, torn=0)
    folders.settle(folder)
    assert (folder / folders.RECORDS).read_bytes() != before
    assert outcomes(folder) == {"a": "ok"}


def test_a_failed_case_keeps_its_status_when_resumed(folder: Path) -> None:
    chosen = make_plan("raises", "a")
    measure(folder, chosen)
    before = answered(folder)
    result = measure(folder, chosen, resume=True)
    assert result.visited == 0
    assert answered(folder) == before
    assert outcomes(folder) == {"raises": "crashed", "a": "ok"}


def test_a_changed_suite_cannot_be_resumed(folder: Path) -> None:
    measure(folder, make_plan("a", "b"))
    with pytest.raises(ResumeMismatch, match=r"the suite has changed .*1 of its 2 cases are gone, 1 are new"):
        measure(folder, make_plan("a", "c"), resume=True)
    with pytest.raises(ResumeMismatch, match=r"\[measure\] has changed"):
        measure(folder, make_plan("a", "b", rounds=7), resume=True)


def test_a_changed_device_cannot_be_resumed(folder: Path) -> None:
    chosen: Plan = make_plan("a")
    measure(folder, chosen)
    path = folder / folders.RUN
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"device": document["device"] | {"name": "Another CPU"}}))
    with pytest.raises(ResumeMismatch, match="the run began on Another CPU, this is"):
        measure(folder, chosen, resume=True)


def test_a_changed_torch_or_environment_cannot_be_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = make_plan("a")
    measure(folder, chosen)
    path = folder / folders.RUN
    document = json.loads(path.read_text())
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    with pytest.raises(ResumeMismatch, match=r"OMP_NUM_THREADS differs from when the run began .*, now 77\)"):
        measure(folder, chosen, resume=True)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
    path.write_text(json.dumps(document | {"environment": document["environment"] | {"torch": "1.0"}}))
    with pytest.raises(ResumeMismatch, match=r"began with torch 1\.0, this is 2"):
        measure(folder, chosen, resume=True)
    path.write_text(json.dumps(document | {"environment": document["environment"] | {"python": "3.1"}}))
    with pytest.raises(ResumeMismatch, match=r"began with python 3\.1, this is 3"):
        measure(folder, chosen, resume=True)


def measured_with(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Let the layers' sources and the probes' be as if they had been changed."""
    real = Sources.of

    def of(plan: Plan, device: str, root: Path | None = None) -> Sources:
        found = real(plan, device)
        layers = {kind: changes.get(kind, digest) for kind, digest in found.layers.items()}
        return Sources(layers, {probe: changes.get(probe, digest) for probe, digest in found.probes.items()})

    monkeypatch.setattr(Sources, "of", of)


class Heard(Silent):
    """Keeps what is remarked about the run."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def remark(self, text: str) -> None:
        self.remarks.append(text)


def mixed_plan() -> Plan:
    """Return a plan of two kinds of layer."""
    text = make_plan("a", "b").suite.source + '\n[[variant]]\nname = "s"\nlayer = "soft"\nexperts = 2\nslots = 1\n'
    return plan(parse_suite(text, "test.toml"))


def test_a_changed_layer_is_measured_again_and_an_unchanged_one_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, heard = mixed_plan(), Heard()
    assert measure(folder, chosen).visited == 9
    before = answered(folder)
    measured_with(monkeypatch, soft="changed")
    result = measure(folder, chosen, resume=True, progress=heard)
    assert (result.reused, result.visited) == (6, 3)
    again = answered(folder) - before
    assert again == {"s check": 1, "s latency": 2}
    again_of = "3 visits of 1 case are made again: the source of the layer soft has changed (3)"
    assert heard.remarks == [f"resumed: 6 finished visits are not made again, {again_of}"]
    assert len(read_run(folder).lines) == 12, "the journal keeps what was measured before"
    assert measure(folder, chosen, resume=True).visited == 0
    sittings = read_run(folder).document["sittings"]
    assert [sitting["reused"] for sitting in sittings] == [0, 6, 9]
    assert sittings[1]["stale"] == {"the source of the layer soft has changed": 3}


def test_a_changed_probe_is_made_again_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, heard = make_plan("a", probes='"latency", "memory"'), Heard()
    measure(folder, chosen)
    measured_with(monkeypatch, memory="changed")
    result = measure(folder, chosen, resume=True, progress=heard)
    assert (result.reused, result.visited) == (3, 1)
    assert "the code of the probe memory has changed (1)" in heard.remarks[0]


def test_a_layer_that_was_mended_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = make_plan("killed-then-mended")
    (folder.parent / "broken-layer").touch()
    measure(folder, chosen)
    assert outcomes(folder) == {"killed-then-mended": "crashed"}
    assert measure(folder, chosen, resume=True).visited == 0
    (folder.parent / "broken-layer").unlink()
    measured_with(monkeypatch, dense="mended")
    measure(folder, chosen, resume=True)
    assert outcomes(folder) == {"killed-then-mended": "ok"}


def test_stale_visits_do_not_count_in_a_run_that_was_killed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = mixed_plan()
    measure(folder, chosen)
    measured_with(monkeypatch, soft="changed")
    assert measure(folder, chosen, resume=True, stopped=lambda: True).visited == 0
    (folder / folders.RECORDS).unlink()
    assert outcomes(folder) == {"a": "ok", "b": "ok", "s": "skipped"}


def test_a_visit_that_lost_the_device_is_made_again(folder: Path) -> None:
    chosen = make_plan("device-lost", "after", rounds=1)
    (folder.parent / "lost-at-check").touch()
    assert measure(folder, chosen).end == "no_device"
    (folder.parent / "lost-at-check").unlink()
    (folder.parent / "device-is-back").touch()
    heard = Heard()
    assert measure(folder, chosen, resume=True, progress=heard).end == "ok"
    assert "the device was lost in it (1)" in heard.remarks[0]
    assert set(outcomes(folder).values()) == {"ok"}


def test_a_budget_ends_the_run_with_whole_rounds_of_all_cases(folder: Path) -> None:
    chosen = make_plan("a", "b", "waits", probes='"latency", "routing"', rounds=4)
    result = measure(folder, chosen, budget=1.5)
    assert (result.status, result.end) == ("interrupted", "over_budget")
    document = read_run(folder).document
    assert (document["end"], document["budget_s"]) == ("over_budget", 1.5)
    notes = [note for record in result.records for note in record.notes]
    assert all(note.startswith("the run's time budget was used up: ") for note in notes)
    assert notes
    (folder.parent / "go").touch()
    second = measure(folder, chosen, resume=True)
    assert (second.end, second.reused) == ("ok", result.visited)
    assert read_run(folder).document["budget_s"] is None


def test_cases_that_a_budget_did_not_reach_say_so(folder: Path) -> None:
    measure(folder, make_plan("a"), budget=1e-9)
    (record,) = read_run(folder).records
    assert (record.status, record.end) == ("skipped", "over_budget")
    assert record.reason == "the time budget was used up before it"


def test_a_case_that_may_not_hold_what_it_needs_says_so(folder: Path) -> None:
    chosen = with_cases(make_plan("a"), fits=False)
    folder.mkdir()
    run(chosen, folder, device_kind="cpu", worker=replace(scripted(folder.parent / "log"), memory_bytes=1 << 10))
    assert re.fullmatch(
        r"does not fit: needs [\d.]+ KiB, a worker may hold 1\.00 KiB \(--memory\)", reason(folder, "a")
    )


def test_a_visit_beside_others_is_marked_in_journal_and_record(folder: Path) -> None:
    measure(folder, make_plan("disturbed", rounds=3))
    run = read_run(folder)
    assert [line.marks for line in run.lines] == [[], ["busy"], ["busy"], ["busy"]]
    assert run.lines[-1].before == {"load_per_core": 0.1}
    assert run.records[0].marks == {"busy": 3}


def batches(*sizes: int) -> Plan:
    """Return a plan over the batch; the scripted worker runs out of memory at 8 and more."""
    text = make_plan("full").suite.source
    return plan(parse_suite(text, "test.toml"), overrides=[f"batch={','.join(map(str, sizes))}"])


def test_cases_beyond_one_that_ran_out_of_memory_are_not_tried(folder: Path) -> None:
    measure(folder, batches(2, 8, 16, 4))
    run = read_run(folder)
    assert [(r.case["batch"], r.status, r.end) for r in run.records] == [
        (2, "ok", "ok"), (8, "oom", "oom_host"), (16, "skipped", "pruned"), (4, "ok", "ok"),
    ]  # fmt: skip
    full = next(record for record in run.records if record.status == "oom")
    assert run.records[2].reason == (
        f"needs no less memory than {full.id}, which ran out of it; --no-prune measures it all the same"
    )
    assert {line.key for line in run.lines if line.status == "oom"} == {full.key}
    (folder / folders.RECORDS).unlink()
    assert read_run(folder).records == run.records, "a run that was killed says the same"


def test_no_prune_measures_them_all_the_same(folder: Path) -> None:
    measure(folder, batches(8, 16), prune=False)
    assert [record.end for record in read_run(folder).records] == ["oom_host", "oom_host"]
    assert read_run(folder).document["prune"] is False
    assert measure(folder, batches(8, 16), resume=True).visited == 0
    assert [record.end for record in read_run(folder).records] == ["oom_host", "oom_host"]


def test_what_was_left_out_stays_so_when_resumed(folder: Path) -> None:
    measure(folder, batches(8, 16))
    assert measure(folder, batches(8, 16), resume=True).visited == 0
    assert [record.end for record in read_run(folder).records] == ["oom_host", "pruned"]


def test_the_run_says_how_many_threads_were_asked_for(folder: Path) -> None:
    folder.mkdir()
    run(make_plan("a"), folder, device_kind="cpu", worker=replace(scripted(folder.parent / "log"), threads=3))
    assert read_run(folder).document["threads"] == 3


def test_a_stop_can_be_asked_for_from_outside(folder: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert measure(folder, make_plan("a"), stopped=lambda: True).status == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_folder_holds_one_run(folder: Path) -> None:
    measure(folder, make_plan("a"))
    with pytest.raises(RunFolderError, match="already holds a run; go on with it by --resume"):
        measure(folder, make_plan("a"))


def test_a_folder_without_a_run_cannot_be_resumed(folder: Path) -> None:
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no run\.json"):
        measure(folder, make_plan("a"), resume=True)


@pytest.mark.parametrize(
    "name", ["run.json", ".run.json.part", "journal.jsonl", "worker.log", ".lock", "records.jsonl"]
)
def test_nothing_in_a_run_folder_leads_out_of_it(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    outside.write_text("years of work")
    folder.mkdir()
    (folder / name).symlink_to(outside)
    with pytest.raises(RunFolderError, match=f"{name} is a link, and a run's folder holds files alone; remove it"):
        measure(folder, make_plan("a"))
    with pytest.raises(RunFolderError, match="is a link"):
        read_run(folder)
    assert outside.read_text() == "years of work"


def test_two_runs_exclude_each_other_and_the_second_says_who_holds_it(folder: Path) -> None:
    folder.mkdir(parents=True)
    with folder_lock(folder), pytest.raises(Busy, match=f"the folder .* in use by process {os.getpid()}"):
        measure(folder, make_plan("a"))
    program = re.escape(Path(sys.argv[0]).name)
    held_by = rf"the device .* in use by process \d+, which has run in elsewhere since 20.*\(.*{program}.*\)"
    with device_lock(detect("cpu").name, Path("elsewhere")), pytest.raises(Busy, match=held_by):
        measure(folder, make_plan("a"))
    assert measure(folder, make_plan("a")).status == "complete"
