"""Ray: what is refused before anything is measured, and a small cluster on this machine that measures."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.engine import ray_cluster, unequal
from harness.engine.environment import source_digest, version
from harness.engine.fleet import FleetError
from harness.engine.folder import read_run
from harness.engine.journal import read_journal
from harness.engine.ray_cluster import NoCluster, check_ray, joined
from harness.engine.unequal import unequal as in_what
from harness.metrics import NOISY_SERIES
from tests.ceilings import keep_ceilings
from tests.faults.nodes import NODE, cluster

ROOT = Path(__file__).parent.parent
MARK = "MOE_HARNESS_TEST_NODES"
"""Environment variable that all processes on the nodes inherit."""
HERE = {"environment": {"python": platform.python_version(), "torch": version("torch"), "hostname": "node-7"},
        "harness": source_digest()}  # fmt: skip
SUITE = """
title = "A sweep for a cluster"
[base]
d_model = 16
d_ff = 32
tokens = 8
[sweep]
batch = [1, 2]
pass = ["forward", "forward_backward"]
[[variant]]
name = "dense"
layer = "dense"
[[variant]]
name = "soft"
layer = "soft"
experts = 4
[measure]
probes = ["flops", "memory", "determinism", "latency"]
rounds = 1
seconds_per_visit = 0.002
min_samples = 1
"""
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason='Ray is not installed: pip install "moe-harness[ray]"')


def harness(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder, **variables),
        timeout=300,
        check=False,
    )


def environment(folder: Path, **variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), **variables}


def test_without_ray_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(FleetError, match=r"not installed: pip install .moe-harness\[ray\]"):
        check_ray()


def test_the_command_line_loads_no_ray_unless_it_is_asked_for(tmp_path: Path) -> None:
    code = "import sys, harness.cli.run, harness.engine.runner; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


@needs_ray
@pytest.mark.parametrize("address", ["nonsense", "ray://head:10001", "head", "head:port", "127.0.0.1:99999"])
def test_what_is_no_address_is_told_what_one_is(address: str) -> None:
    with pytest.raises(FleetError, match="expected HOST:PORT of the cluster's head"), joined(address):
        raise AssertionError("it was joined")


@needs_ray
def test_an_address_where_nothing_listens_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(NoCluster, match=rf"nothing answers at 127.0.0.1:{port}"), joined(f"127.0.0.1:{port}"):
        raise AssertionError("it was joined")
    assert time.monotonic() - start < 60


@needs_ray
def test_an_address_that_takes_the_call_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "ANSWER_S", 3.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NoCluster, match="gave no answer within 3 s: it may be no Ray head"), joined(address):
            raise AssertionError("it was joined")


def test_auto_takes_the_cluster_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert ray_cluster._running() == "head:6379"


@needs_ray
def test_an_address_of_the_environment_that_is_none_is_said_to_be_its(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "bogus")
    with pytest.raises(FleetError, match=r"--ray auto: RAY_ADDRESS = bogus: expected HOST:PORT"), joined("auto"):
        raise AssertionError("it was joined")


def test_a_ray_that_cannot_be_imported_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "ray", None)
    words = r"cannot be imported \(import of ray halted.*pip install"
    with pytest.raises(FleetError, match=words), joined("auto"):
        raise AssertionError("it was joined")


@needs_ray
@pytest.mark.filterwarnings("default")
def test_auto_starts_a_cluster_where_none_is_running_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray_cluster, "_running", lambda: None)
    with joined("auto") as started:
        assert started
        assert [node["Alive"] for node in ray.nodes()] == [True]
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"torch": "2.9.0"}, f"node-7 has torch 2.9.0 (here {version('torch')})"),
        ({"torch": None}, "node-7 has torch missing"),
        ({"python": "3.9.1"}, "node-7 has python 3.9.1 (here "),
        ({"triton": "3.1"}, "triton 3.1 (here "),
    ],
)
def test_a_node_of_other_versions_is_named_with_both(
    changed: dict[str, str | None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unequal, "version", lambda name: version("torch") if name == "torch" else None)
    said = in_what({**HERE, "environment": {**HERE["environment"], **changed}})  # type: ignore[dict-item]
    assert said is not None
    assert words in said
    assert said.endswith("a run has one version of each, so install the same on all nodes")


def test_a_node_of_the_same_versions_is_welcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unequal, "version", lambda name: version("torch") if name == "torch" else None)
    assert in_what(HERE) is None
    other = in_what({**HERE, "harness": "0123456789abcdef"})
    assert other is not None
    assert "the harness's source 0123456789abcdef (here " in other


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--devices", "0"], 2, "--devices 0: expected a number of devices from 1 on, or all"),
        (["--devices", "many"], 2, "--devices many: expected a number"),
        (["--devices", "999"], 2, "--devices 999: this process may use "),
        (["--device-class", "NVIDIA H100*"], 5, "no device of the class NVIDIA H100*: here is "),
        (["--devices", "1", "--device-class", "NVIDIA H100*"], 5, "no device of the class NVIDIA H100*"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_is_measured(
    words: list[str], code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(SUITE)
    done = harness("run", "s.toml", "--device", "cpu", "-o", "out", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of three nodes on this machine."""
    if not find_spec("ray"):
        pytest.skip('Ray is not installed: pip install "moe-harness[ray]"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, "1")
        with cluster(3) as made:
            yield made


@needs_ray
@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_records_of_a_local_run(nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        keep_ceilings(1e13, 1e11)
    common = ("run", "s.toml", "--device", "cpu", "--threads", "1")
    spread = harness(*common, "-o", "spread", "--ray", nodes.address, folder=tmp_path)
    assert spread.returncode == 0, spread.stderr
    local = harness(*common, "-o", "local", folder=tmp_path)
    assert local.returncode == 0, local.stderr
    mine, theirs = read_run(tmp_path / "spread"), read_run(tmp_path / "local")
    assert [exact(record) for record in mine.records] == [exact(record) for record in theirs.records]
    assert len({line.device for line in mine.lines}) == 3
    assert mine.document["spread"] == {"ray": nodes.address}
    assert f"--ray {nodes.address}" in mine.document["command"]
    assert (tmp_path / "spread" / "report.html").exists()


def exact(record: Any) -> dict[str, Any]:
    """Return what no clock gave."""
    from tests.faults.tally import TIMED

    told = json.loads(record.model_dump_json(by_alias=True))
    told["metrics"] = {name: value for name, value in told["metrics"].items() if name not in TIMED}
    told["series"] = {name: numbers for name, numbers in told["series"].items() if name not in NOISY_SERIES}
    return {name: told[name] for name in ("key", "id", "variant", "case", "status", "end", "backend", "device_class",
                                          "metrics", "series")}  # fmt: skip


@needs_ray
@pytest.mark.filterwarnings("default")
def test_a_node_of_another_torch_is_refused_before_anything_is_measured(nodes: Any, tmp_path: Path) -> None:
    info = tmp_path / "site" / "torch-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    (tmp_path / "s.toml").write_text(SUITE)
    node = nodes.add_node(**NODE, env_vars={"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}"})
    try:
        done = harness("run", "s.toml", "-o", "out", "--ray", nodes.address, "--device", "cpu", folder=tmp_path)
    finally:
        nodes.remove_node(node)
    assert (done.returncode, done.stdout) == (2, "")
    assert "torch 1.0 (here " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@needs_ray
@pytest.mark.filterwarnings("default")
def test_more_devices_than_the_cluster_has_are_refused(nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SUITE)
    words = ["-o", "out", "--ray", nodes.address, "--devices", "4", "--device", "cpu"]
    done = harness("run", "s.toml", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--devices 4: the cluster has 3 x " in done.stderr
    assert "; expected 1 to 3" in done.stderr
    assert not (tmp_path / "out").exists()


@needs_ray
@pytest.mark.filterwarnings("default")
def test_ctrl_c_leaves_no_process_and_the_run_can_go_on(nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SUITE.replace("rounds = 1", "rounds = 2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        keep_ceilings(1e13, 1e11)
    command = [sys.executable, "-m", "harness.cli", "run", "s.toml", "-o", "out", "--device", "cpu", "--threads", "1"]
    journal, said = tmp_path / "out" / "journal.jsonl", tmp_path / "said"
    with said.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--ray", nodes.address], cwd=tmp_path, env=environment(tmp_path), stdout=errors, stderr=errors
        )
        deadline = time.monotonic() + 120
        while not journal.exists() or not journal.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, said.read_text()
    assert "go on with: harness run --resume out" in said.read_text()
    gone = time.monotonic() + 20
    while workers() and time.monotonic() < gone:
        time.sleep(0.1)
    assert not workers()
    before = len(read_journal(journal))
    again = harness("run", "--resume", "out", folder=tmp_path)  # on the cluster that it was begun on
    assert again.returncode == 0, again.stderr
    assert f"resumed: {before} finished visit" in again.stderr
    assert len({line.place for line in read_journal(journal)}) == len(read_journal(journal))


def workers() -> list[psutil.Process]:
    """Return the workers on the nodes of this module's cluster."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any("harness.engine.worker" in word for word in process.cmdline()) and MARK in process.environ():
                found.append(process)
    return found
