from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from harness.case import Case
from harness.devices.cpu import CpuDevice
from harness.devices.interface import Device
from harness.engine import worker as workers
from harness.engine.folder import read_run
from harness.engine.process import TimedOut, WorkerProcess
from harness.engine.protocol import ProtocolError, Ready, Refused, Request, Result, read, write
from harness.engine.runner import WorkerOptions, run
from harness.engine.worker import Worker
from harness.layers.interface import Unsupported
from harness.probes import PROBES, Outcome, Settings, Subject
from harness.record import ENDS, End
from tests import cases
from tests.sweeps import make_plan

SETTINGS: dict[str, float | int] = {"seconds_per_visit": 0.002, "min_samples": 3, "seed": 0}


def test_the_worker_says_how_torch_was_built() -> None:
    build = workers._torch_build()
    assert "CXX_FLAGS" in build
    assert "\n" not in build
    assert torch.__config__.show().splitlines()[1].strip(" -") in build


def request(case: Case, probe: str = "latency", visit: int = 7) -> Request:
    return Request(visit, case.variant, case.as_dict(), probe, SETTINGS)


class FakeProbe:
    """A probe that does what it is told and counts its visits."""

    METRICS = ()

    def __init__(self, *does: Callable[[Subject], Outcome]) -> None:
        self.does = list(does)
        self.seen: list[Subject] = []

    def measure(self, subject: Subject, device: Device, settings: Settings) -> Outcome:
        self.seen.append(subject)
        return (self.does.pop(0) if len(self.does) > 1 else self.does[0])(subject)


def raises(error: BaseException) -> Callable[[Subject], Outcome]:
    def act(subject: Subject) -> Outcome:
        raise error

    return act


def gives(**values: Any) -> Callable[[Subject], Outcome]:
    return lambda subject: Outcome(values)


@pytest.fixture
def worker() -> Worker:
    return Worker(CpuDevice())


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeProbe]:
    def install(*does: Callable[[Subject], Outcome]) -> FakeProbe:
        fake = FakeProbe(*does)
        monkeypatch.setitem(PROBES, "latency", fake)
        return fake

    return install


@pytest.mark.parametrize("message", [
    Ready(3, {"kind": "cpu", "cores": 2}),
    Refused("NoSuchDevice", "no GPU"),
    Request(1, "dense", {"layer": "dense"}, "check", SETTINGS),
    Result(1, "ok", values={"latency_ms": [1.0]}, n={"det_run": 3}, notes=["ü"], backend="fused", state={"load": 0.5}),
])  # fmt: skip
def test_messages_survive_the_pipe(message: Ready | Refused | Request | Result) -> None:
    line = write(message)
    assert line.count(b"\n") == 1
    assert read(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type": "shout"}',
        b'{"type": "result", "visit": 1}',
        b'{"type": "result", "visit": 1, "status": "fine"}',
        b"\xff",
        b'{"type": "result", "visit": 1, "status": "oom", "end": "timeout"}',
        b'{"type": "result", "visit": 1, "status": "ok", "end": "fine"}',
    ],
)
def test_what_is_no_message_is_quoted(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a line of the worker protocol: b"):
        read(line)


@pytest.mark.parametrize("case", cases.families(), ids=lambda case: case.variant)
def test_every_family_is_checked_and_timed(worker: Worker, case: Case) -> None:
    assert worker.visit(request(case, "check")).status == "ok"
    result = worker.visit(request(case))
    assert (result.visit, result.status, result.reason) == (7, "ok", None)
    samples = result.values["latency_ms"]
    assert isinstance(samples, list)
    assert len(samples) >= 3
    assert min(samples) > 0
    assert result.backend not in (None, "best")
    assert result.inside > 0
    assert "load_1min" in result.state


def test_what_a_probe_gives_is_the_answer(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    probe(lambda subject: Outcome({"det_run": 1.0}, ["a note"], {"det_run": 16}))
    result = worker.visit(request(cases.dense()))
    assert (result.values, result.notes, result.n) == ({"det_run": 1.0}, ["a note"], {"det_run": 16})


def test_an_incorrect_case_has_no_values(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    probe(lambda subject: Outcome({"latency_ms": [1.0]}, incorrect="it differs"))
    result = worker.visit(request(cases.dense()))
    assert (result.status, result.reason, result.values) == ("incorrect", "it differs", {})


def test_an_unknown_metric_is_the_probes_fault(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    probe(gives(speed=1.0))
    result = worker.visit(request(cases.dense()))
    assert result.status == "crashed"
    assert "unknown metrics ['speed']" in str(result.reason)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), [1.0, float("nan")]])
def test_a_number_that_is_none_is_left_out_with_a_note(
    worker: Worker, probe: Callable[..., FakeProbe], bad: float | list[float]
) -> None:
    probe(gives(latency_ms=bad, det_run=1.0))
    result = worker.visit(request(cases.dense()))
    assert result.values == {"det_run": 1.0}
    assert result.notes == ["latency_ms was left out: it is not a finite number"]


@pytest.mark.parametrize(
    ("error", "end", "reason"),
    [
        (Unsupported("no such backend"), "unsupported", "no such backend"),
        (ValueError("two\nlines"), "crashed_python", "ValueError: two"),
        (ValueError(), "crashed_python", "ValueError"),
        (SystemExit(0), "crashed_python", "SystemExit: 0"),
        (KeyboardInterrupt(), "crashed_python", "KeyboardInterrupt"),
        (MemoryError("full"), "oom_host", "out of memory on the host, in latency: MemoryError: full"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom_host", "out of memory on the"),
    ],
)
def test_every_error_has_its_end(
    worker: Worker, probe: Callable[..., FakeProbe], error: BaseException, end: End, reason: str
) -> None:
    probe(raises(error))
    result = worker.visit(request(cases.dense()))
    assert (result.end, result.status) == (end, ENDS[end].status)
    assert str(result.reason).startswith(reason)
    assert (result.detail is None) is (end == "unsupported")
    assert result.spent is None


@pytest.mark.parametrize(
    ("fault", "end", "spent"),
    [
        ("device memory", "oom_device", False),
        ("device error", "crashed_cuda", True),
        ("device lost", "device_lost", True),
    ],
)
def test_an_error_of_the_device_spends_the_worker(
    worker: Worker,
    probe: Callable[..., FakeProbe],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    end: str,
    spent: bool,
) -> None:
    probe(raises(RuntimeError("CUDA error: an illegal memory access was encountered\nmore")))
    monkeypatch.setattr(worker.device, "fault", lambda error: fault)
    result = worker.visit(request(cases.dense()))
    assert (result.end, result.spent is not None) == (end, spent)
    assert str(result.reason).endswith("RuntimeError: CUDA error: an illegal memory access was encountered")
    assert "\nmore" in str(result.detail)


def test_an_error_that_the_device_reports_late_is_the_cases_own(
    worker: Worker, probe: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(gives(det_run=1.0))
    waits = iter([None, RuntimeError("late")])

    def synchronize() -> None:
        if error := next(waits):
            raise error

    monkeypatch.setattr(worker.device, "synchronize", synchronize)
    assert worker.visit(request(cases.dense())).reason == "RuntimeError: late"


def test_a_thread_that_a_visit_leaves_behind_spends_the_worker(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    stop = threading.Event()

    def start_thread(subject: Subject) -> Outcome:
        threading.Thread(target=stop.wait, name="sleeper").start()
        return Outcome({"det_run": 1.0})

    probe(start_thread)
    result = worker.visit(request(cases.dense()))
    stop.set()
    assert (result.status, result.spent) == ("ok", "a visit has left a thread running (sleeper)")


def test_a_long_reason_is_cut_and_its_whole_is_in_the_detail(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    probe(raises(ValueError("x" * 1000)))
    result = worker.visit(request(cases.dense()))
    assert len(str(result.reason)) == workers.REASON_LENGTH
    assert "x" * 1000 in str(result.detail)
    assert "in measure" in str(result.detail)


def test_a_case_that_cannot_be_read_is_an_answer_too(worker: Worker) -> None:
    result = worker.visit(Request(1, "dense", {"layer": "dense", "colour": "red"}, "latency", SETTINGS))
    assert result.status == "crashed"
    assert "colour" in str(result.reason)


def test_out_of_memory_is_tried_once_more_on_an_empty_shelf(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    fake = probe(gives(det_run=1.0), raises(MemoryError()), gives(det_run=1.0))
    worker.visit(request(cases.soft()))
    assert worker.visit(request(cases.dense())).status == "ok"
    assert len(fake.seen) == 3
    assert worker.visit(request(cases.soft())).build > 0
    assert fake.seen[3].layer is not fake.seen[0].layer, "the shelf was not emptied"


def test_a_visit_that_raised_leaves_no_layer_behind(worker: Worker, probe: Callable[..., FakeProbe]) -> None:
    fake = probe(raises(ValueError()), gives(det_run=1.0))
    worker.visit(request(cases.dense()))
    worker.visit(request(cases.dense()))
    assert fake.seen[0].layer is not fake.seen[1].layer


def test_a_device_that_cannot_be_read_costs_no_numbers(
    worker: Worker, probe: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(gives(det_run=1.0))
    monkeypatch.setattr(worker.device, "state", lambda: 1 / 0)
    result = worker.visit(request(cases.dense()))
    assert result.status == "ok"
    assert result.state == {"unreadable": "ZeroDivisionError: division by zero"}


@contextmanager
def real_worker(tmp_path: Path, program: str = "") -> Iterator[WorkerProcess]:
    """Start the worker program, after the lines of `program`."""
    main = f"import sys\n{program}\nfrom harness.engine.worker import main\nsys.exit(main())"
    command = [sys.executable, "-c", main, "--device", "cpu", "--threads", "1"]
    process = WorkerProcess(command, tmp_path / "worker.log", lambda: False)
    try:
        yield process
    finally:
        process.end()


FORKING = """
from harness.layers.dense import Dense
import os
forward = Dense.forward
def forking(self, x):
    os.fork()
    return forward(self, x)
Dense.forward = forking
"""


def test_a_layer_that_forks_is_answered_for_once(tmp_path: Path) -> None:
    with real_worker(tmp_path, FORKING) as process:
        process.hello()
        for visit in range(3):
            assert process.ask(request(cases.dense(), "check", visit), 60).status == "ok"


ENDLESS = """
from harness.layers.dense import Dense
import time
def endless(self, x):
    time.sleep(600)
Dense.forward = endless
"""


def test_a_worker_that_is_ended_says_where_it_stood(tmp_path: Path) -> None:
    with real_worker(tmp_path, ENDLESS) as process:
        process.hello()
        with pytest.raises(TimedOut):
            process.ask(request(cases.dense()), 1.0)
        process.end()
        assert "in endless" in process.log_tail()


NOISY = """
from harness.layers.dense import Dense
import os
forward = Dense.forward
def noisy(self, x):
    print("printed by a layer", flush=True)
    os.write(1, b"written by a layer\\n")
    assert sys.stdin.read() == ""
    return forward(self, x)
Dense.forward = noisy
"""


def test_a_layer_that_prints_and_reads_does_not_disturb_the_protocol(tmp_path: Path) -> None:
    with real_worker(tmp_path, NOISY) as process:
        ready = process.hello()
        assert (ready.pid, ready.device["kind"], ready.device["threads"]) == (process.pid, "cpu", 1)
        result = process.ask(request(cases.dense()), 60)
    assert result.status == "ok", result.detail
    log = (tmp_path / "worker.log").read_text()
    assert "printed by a layer" in log
    assert "written by a layer" in log


def test_the_worker_ends_with_its_stdin_and_ignores_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.engine.process.GRACE_S", 30.0)  # a busy machine takes its time to end a process
    with real_worker(tmp_path) as process:
        process.hello()
        os.kill(process.pid, 2)
        assert process.ask(request(cases.dense()), 60).status == "ok"
        process.end(politely=True)
        assert process._process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends a worker with its runner on Linux alone")
def test_the_worker_ends_with_a_runner_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, subprocess\n"
        "child = subprocess.Popen([sys.executable, '-m', 'harness.engine.worker'], stdin=subprocess.PIPE,"
        " stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_worker_without_its_device_says_so_and_exits_5(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness.engine.worker", "--device", "cuda"]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    message = read(done.stdout)
    assert isinstance(message, Refused)
    assert message.error == "NoSuchDevice"
    assert "no CUDA device" in message.reason
    assert done.returncode == 5


def test_a_real_run_from_plan_to_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()
    chosen = make_plan("a", "b", probes='"flops", "latency", "memory"', rounds=2, timeout=60)
    result = run(chosen, tmp_path / "run", device_kind="cpu", worker=WorkerOptions(threads=1))
    assert (result.status, result.visited) == ("complete", 2 * (3 + 2))
    assert [record.status for record in result.records] == ["ok", "ok"]
    found = read_run(tmp_path / "run")
    assert found.document["device"]["threads"] == 1
    assert {"latency_ms", "params", "flops_counted", "memory_peak_bytes"} <= set(result.records[0].metrics or {})


@pytest.mark.parametrize(("asked", "threads"), [([], 1), (["--threads", "2"], 2)])
def test_the_cores_and_threads_of_a_worker_are_those_it_was_given_and_it_says_so(
    tmp_path: Path, asked: list[str], threads: int
) -> None:
    """Planted: another affinity than this machine's. torch alone would start as many threads as there are cores."""
    core = max(os.sched_getaffinity(0))
    given = f"import os, sys\nos.sched_setaffinity(0, [{core}])"
    program = f"{given}\nfrom harness.engine.worker import main\nsys.exit(main())"
    process = WorkerProcess([sys.executable, "-c", program, *asked], tmp_path / "worker.log", lambda: False)
    try:
        ready = process.hello()
    finally:
        process.end()
    assert (ready.device["affinity"], ready.device["threads"]) == (str(core), threads)
