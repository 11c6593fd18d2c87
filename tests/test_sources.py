from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine import sources
from harness.engine.sources import Sources, layer_digest, layer_name
from tests.cases import token_choice
from tests.sweeps import ROOT, make_plan


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plug-in's package, whose modules fail where anybody imports them."""
    folder = tmp_path / "plugged"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "layer.py").write_text("import os\nfrom .inner import kernel\nfrom plugged import shared\n")
    (folder / "shared.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "kernel.py").write_text("def run(): \n    from ..late import table\n")
    (folder / "late.py").write_text("table = 1\n")
    (folder / "other.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    sources._file.cache_clear()
    return folder


@pytest.mark.parametrize("name", ["layer.py", "shared.py", "inner/kernel.py", "late.py"])
def test_a_plug_in_is_known_by_all_that_it_imports_without_being_imported(package: Path, name: str) -> None:
    before = layer_digest("plugged.layer:build")
    assert layer_digest("plugged.layer:build") == before
    (package / name).write_text((package / name).read_text() + "# changed\n")
    assert layer_digest("plugged.layer:build") != before


def test_what_a_plug_in_does_not_import_is_none_of_it(package: Path) -> None:
    before = layer_digest("plugged.layer:build")
    (package / "other.py").write_text("x = 1\n")
    assert layer_digest("plugged.layer:build") == before


def test_a_module_that_is_not_there_has_a_digest_too() -> None:
    assert len(layer_digest("no_such_module:build")) == 16


def names(paths: set[Path]) -> set[str]:
    return {path.relative_to(ROOT / "harness").as_posix() for path in paths}


def test_a_kind_stands_on_its_own_files_and_on_what_they_share() -> None:
    dense = names(sources._closure("harness.layers.dense"))
    soft = names(sources._closure("harness.layers.soft"))
    assert {"layers/dense.py", "layers/experts.py", "layers/interface.py"} <= dense
    assert "layers/soft.py" in soft - dense
    assert "layers/experts.py" in soft & dense
    assert "layers/token_choice.py" not in soft | dense
    assert "layers/__init__.py" not in soft | dense


def test_a_probe_stands_on_its_file_the_worker_and_the_device_and_on_no_layer() -> None:
    latency = names(sources._probe_files("latency", "cpu"))
    assert {"probes/latency.py", "probes/subject.py", "devices/cpu.py", "engine/worker.py"} <= latency
    assert {"probes/warm_up.py", "judge/steady.py", "devices/clock.py"} <= latency, "what ends a warm-up is its method"
    assert not {name for name in latency if name.startswith("layers/")}
    assert "devices/cuda.py" not in latency
    assert "probes/memory.py" not in latency
    assert "devices/cuda.py" in names(sources._probe_files("latency", "cuda"))


def test_a_probe_that_is_not_named_after_its_file_stands_on_all_of_them() -> None:
    some = names(sources._probe_files("compile", "cpu"))
    assert {"probes/compilation.py", "probes/latency.py", "probes/__init__.py"} <= some


def test_every_kind_and_probe_of_a_plan_has_its_digest() -> None:
    found = Sources.of(make_plan("a", probes='"latency", "flops"'), "cpu")
    assert set(found.layers) == {"dense"}
    assert set(found.probes) == {"check", "latency", "flops"}
    assert len({*found.layers.values(), *found.probes.values()}) == 4
    assert Sources.from_document({"sources": found.as_dict()}) == found
    assert Sources.from_document({}) is None


def test_other_settings_are_another_method() -> None:
    one, other = make_plan("a"), make_plan("a")
    changed = other.suite.model_copy(update={"measure": other.suite.measure.model_copy(update={"seed": 1})})
    assert Sources.of(one, "cpu").probes != Sources.of(type(other)(changed, other.cases), "cpu").probes


def test_digests_need_no_torch() -> None:
    code = "import sys, harness.engine.sources as s; s.layer_digest('soft'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_what_stands_around_a_layer_has_a_digest_of_its_own() -> None:
    case = token_choice()
    around = [replace(case, backend="transformers-eager"), replace(case, scope="block"), replace(case, scope="model")]
    names = [layer_name(case) for case in [case, replace(case, backend="loop"), *around]]
    assert names[0] == names[1] == "token_choice"
    assert len({layer_digest(name) for name in names[1:]}) == 4


def test_a_plug_in_beside_the_suite_is_told_from_its_changed_self(tmp_path: Path) -> None:
    module = tmp_path / "beside_the_suite.py"
    module.write_text("def build(case): ...\n")
    before = layer_digest("beside_the_suite:build", tmp_path)
    assert before != layer_digest("beside_the_suite:build"), "it is found in the suite's folder alone"
    module.write_text("def build(case): return 1\n")
    assert layer_digest("beside_the_suite:build", tmp_path) != before
