"""A run over devices of several classes, from the command line to the reports: each class has a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.devices.classes import is_wanted
from harness.engine import fleet
from harness.engine.fleet import LocalFleet, SeveralClasses, Terms
from harness.engine.folder import read_run
from harness.engine.keeper import Keeper
from tests.ceilings import keep_ceilings
from tests.sweeps import scripted

CLASSES = ("Old GPU, 40 GiB", "New GPU, 80 GiB")
SUITE = """
title = "Two classes"
[base]
d_model = 16
d_ff = 32
tokens = 4
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["latency"]
rounds = 2
seconds_per_visit = 0.002
"""


class ScriptedFleet(LocalFleet):
    """This machine's CPU, twice, under the names of two GPUs, with the scripted worker on each."""

    def __init__(self, kind: str, asked: int | None = None, wanted: Sequence[str] = ()) -> None:
        super().__init__(kind, 1)
        chosen = [name for name in CLASSES if is_wanted(name, wanted)]
        if len(chosen) > 1:
            raise SeveralClasses(chosen)
        self.device_class = chosen[0]
        self._posts = [replace(self._posts[0], name=f"gpu:{CLASSES.index(chosen[0])}", device_class=chosen[0])]

    def _station(self, terms: Terms, index: int, orphans: Any) -> Keeper:
        own = replace(terms, options=scripted(terms.folder / "visits.log"))
        return super()._station(own, index, orphans)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fleet, "LocalFleet", ScriptedFleet)
    keep_ceilings(1e13, 1e11)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(SUITE)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["run", "two.toml", "--device", "cpu", "--devices", "all", "-o", "out", *words])


def test_several_classes_and_none_chosen_is_a_sentence_that_says_what_to_do(folder: Path) -> None:
    done = run()
    assert (done.exit_code, done.stdout) == (2, "")
    assert all(name in done.stderr for name in CLASSES)
    assert "--device-class" in done.stderr
    assert not (folder / "out").exists()


def test_each_class_that_matches_has_a_run_and_a_report_of_its_own(folder: Path) -> None:
    done = run("--device-class", "*GPU*")
    assert done.exit_code == 0, done.output
    for number, (name, device) in enumerate(zip(CLASSES, ("gpu:0", "gpu:1"), strict=True), start=1):
        own = read_run(folder / "out" / f"class-{number}")
        assert {record.device_class for record in own.records} == {name}
        assert {line.device for line in own.lines} == {device}
        assert device in (folder / "out" / f"class-{number}" / "report.html").read_text()


def test_one_class_that_is_asked_for_is_one_run(folder: Path) -> None:
    done = run("--device-class", "New*")
    assert done.exit_code == 0, done.output
    assert {record.device_class for record in read_run(folder / "out").records} == {CLASSES[1]}
