"""Layers that are not ours: how a suite names them, where they are found, and what a plan says of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.declare import plugins
from harness.declare.plan import Plan, plan, plan_document
from harness.declare.suite import SuiteError, load_suite, parse_suite
from harness.declare.visits import build_key, visits
from harness.devices.ceilings import Ceilings
from tests.test_cli import harness

HEAD = 'title = "T"\n[base]\nd_model = 32\nd_ff = 64\ntokens = 8\nbatch = 2\n'
CEILINGS = Ceilings("cpu", {"float32": 1e11}, 1e10, 1 << 30, "2026-11-22", "2.13.0")


def variant(layer: str, name: str = "mine", **axes: Any) -> str:
    """Return the TOML of one variant."""
    lines = [f"{axis} = {json.dumps(value)}" for axis, value in axes.items()]
    return "\n".join(["[[variant]]", f'name = "{name}"', f'layer = "{layer}"', *lines, ""])


def planned(*variants: str, folder: Path | None = None, **options: Any) -> Plan:
    """Return the plan of a suite that lies in `folder`."""
    file = "suite.toml" if folder is None else str(folder / "suite.toml")
    return plan(parse_suite(HEAD + "".join(variants), file), **options)


def faults(*variants: str) -> list[str]:
    """Return the messages of a suite that cannot be."""
    with pytest.raises(SuiteError) as raised:
        planned(*variants)
    return [f"{fault.message} | {fault.expected} | {fault.nearest}" for fault in raised.value.faults]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with `single.py`, `nested/inner/deep.py`, and a namespace package `space/part.py`."""
    (tmp_path / "nested" / "inner").mkdir(parents=True)
    (tmp_path / "space").mkdir()
    broken = "raise SystemExit('importing me is a fault')\n"
    for name in (
        "single.py",
        "nested/__init__.py",
        "nested/inner/__init__.py",
        "nested/inner/deep.py",
        "space/part.py",
    ):
        (tmp_path / name).write_text(broken)
    return tmp_path


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that announces a layer, and one that takes a name of ours."""
    points = [
        EntryPoint("theirs", "json:tool.build", plugins.GROUP),
        EntryPoint("soft-moe-pytorch", "json:other", plugins.GROUP),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == plugins.GROUP else [])
    plugins.announced.cache_clear()
    yield
    plugins.announced.cache_clear()


@pytest.mark.parametrize(
    ("layer", "file"),
    [
        ("single:build", "single.py"),
        ("nested:build", "nested/__init__.py"),
        ("nested.inner.deep:Layer.build", "nested/inner/deep.py"),
        ("space.part:build", "space/part.py"),
        ("nested.missing:build", None),
        ("single.part:build", None),
        ("nowhere:build", None),
        ("space:build", None),
    ],
)
def test_a_module_is_found_beside_the_suite_without_importing_it(package: Path, layer: str, file: str | None) -> None:
    source = plugins.source_of(layer, package)
    assert source == (None if file is None else package / file)
    assert not {"single", "nested", "space"} & set(sys.modules)


def test_where_a_module_is_looked_for(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plugins.source_of("single:build") is None
    monkeypatch.chdir(package)
    assert plugins.source_of("single:build") == package / "single.py", "the working folder"
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "single.py").write_text("")
    assert plugins.source_of("single:build", other) == other / "single.py", "the suite's folder comes first"
    found = plugins.source_of("json.decoder:build")
    assert found is not None
    assert found.parts[-2:] == ("json", "decoder.py"), "and what is installed last"
    assert plugins.source_of("sys:build") is None, "built in: there is no file"
    assert plugins.unavailable("sys:build") is None


def test_announced_layers_are_known_by_name(announced: None) -> None:
    assert plugins.target_of("theirs") == "json:tool.build"
    assert plugins.target_of("soft-moe-pytorch") == plugins.OURS["soft-moe-pytorch"], "ours cannot be taken"
    assert plugins.target_of("nobodys") is None
    assert plugins.unavailable("theirs") is None
    assert plugins.unavailable("nobodys") == (
        "no installed package announces a layer 'nobodys' (entry-point group moe_harness.layers)"
    )
    (case,) = planned(variant("theirs")).cases
    assert (case.case.layer, case.unsupported) == ("theirs", None)


def test_ours_are_announced_in_the_project_too() -> None:
    import tomllib

    from harness.declare.shipped import suite_folder

    project = tomllib.loads((suite_folder().parent / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][plugins.GROUP] == plugins.OURS


def test_a_name_that_can_be_no_layer_is_a_fault() -> None:
    (message,) = faults(variant("sofd"))
    assert message.startswith("'sofd' is not known here | dense, dense_moe, token_choice, expert_choice, soft, ")
    assert "soft-moe-pytorch" in message
    assert "mypackage.mymodule:build" in message
    assert message.endswith("| soft")
    for layer in ("my module:build", "a.b:", ":build", "a:b:c", "a..b:c", "1a:b"):
        (message,) = faults(variant(layer))
        assert message.startswith(f"'{layer}' is not known here | a module and a function in it, such as"), layer


def test_every_axis_reaches_a_plug_in_and_none_is_needed(package: Path) -> None:
    (bare,) = planned(variant("single:build")).cases
    assert (bare.case.experts, bare.case.top_k, bare.case.slots, bare.case.gate) == (None, None, None, None)
    axes: dict[str, Any] = {"experts": 8, "top_k": 2, "slots": 3, "capacity_factor": 1.5, "group": "sequence"}
    axes |= {"mixing": "uniform", "shared_experts": 1}
    (full,) = planned(variant("single:build", **axes)).cases
    assert {axis: getattr(full.case, axis) for axis in axes} == axes


def test_a_plug_in_has_no_price_and_no_expected_time(package: Path) -> None:
    chosen = planned(variant("dense", "ours"), variant("single:build"), folder=package, ceilings=CEILINGS)
    ours, mine = chosen.cases
    assert ours.cost is not None
    assert (mine.cost, mine.seconds, mine.fits, mine.unsupported, mine.runs) == (None, None, None, None, True)
    document = json.loads(json.dumps(plan_document(chosen)))["cases"][1]
    assert {name: document[name] for name in ("params", "params_active", "flops_model", "flops_executed", "bytes")} == (
        dict.fromkeys(("params", "params_active", "flops_model", "flops_executed", "bytes"))
    )
    assert (document["seconds"], document["fits"]) == (None, None)
    assert {visit.key for visit in visits(chosen)} == {ours.case.key, mine.case.key}


def test_a_plug_in_is_built_for_its_case_alone() -> None:
    (mine,) = planned(variant("single:build", **{"pass": "train"})).cases
    assert build_key(mine.case) is mine.case


@pytest.mark.parametrize(
    ("layer", "axes", "words"),
    [
        ("nowhere:build", {}, "there is no module nowhere beside the suite, in the working folder, or among"),
        ("single.part:build", {}, "there is no module single.part"),
        ("single:build", {"scope": "block", "heads": 4}, 'scope = "block" is for our own kinds'),
        ("single:build", {"compile": True}, "compile = true is for our own kinds"),
    ],
)
def test_what_cannot_run_is_unsupported_in_the_plan(
    package: Path, layer: str, axes: dict[str, Any], words: str
) -> None:
    (case,) = planned(variant(layer, **axes), folder=package).cases
    assert case.unsupported is not None
    assert case.unsupported.startswith(words)
    assert not case.runs


def test_a_package_behind_a_layer_of_ours_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.declare import adapters

    monkeypatch.setattr(adapters, "_found", lambda module: False)
    for name in plugins.OURS:
        (case,) = planned(variant(name, experts=4)).cases
        module = name.replace("-", "_")
        assert case.unsupported == f'{module} is not installed: pip install "moe-harness[{name}]"'


@pytest.mark.parametrize("matched", ["mine", "ours"])
def test_a_plug_in_cannot_be_matched(matched: str) -> None:
    other = {"mine": "ours", "ours": "mine"}[matched]
    layers = {"mine": "single:build", "ours": "dense"}
    head = HEAD.replace("d_ff = 64\n", "")
    body = [variant(layers[other], other, d_ff=64), variant(layers[matched], matched)]
    body.append(f'match = {{ to = "{other}", on = "flops" }}\n')
    with pytest.raises(SuiteError) as raised:
        parse_suite(head + "".join(body))
    (fault,) = raised.value.faults
    assert fault.message == "mine cannot be matched: the cost of single:build is not known before it runs"


def test_the_plan_prints_what_it_knows_and_says_that_there_is_code(package: Path) -> None:
    suite = package / "mixed.toml"
    suite.write_text(
        HEAD + variant("dense", "ours") + variant("single:build") + variant("soft-moe-pytorch", "port", experts=2)
    )
    done = harness("plan", str(suite))
    assert done.returncode == 0
    row = next(line for line in done.stdout.splitlines() if " mine-" in line)
    assert row.split()[:6] == ["–"] * 6
    assert "a run imports and runs code that this suite names: single (" in done.stderr
    assert str(package / "single.py") in done.stderr
    assert "soft_moe" not in done.stderr, "an announced layer is installed, and no news"
    listed = json.loads(harness("plan", str(suite), "--json").stdout)["cases"]
    assert [case["params"] is None for case in listed] == [False, True, True]


def test_planning_imports_neither_the_code_nor_torch(package: Path) -> None:
    suite = package / "mine.toml"
    suite.write_text(HEAD + variant("nested.inner.deep:build"))
    assert load_suite(suite).variants[0].layer == "nested.inner.deep:build"
    assert harness("plan", str(suite)).returncode == 0, "a module that ends the program when it is imported"


def test_source_of_a_case() -> None:
    """The function that keys of resumed runs stand on needs no more than the layer's name."""
    case = Case.from_dict("v", planned(variant("soft-moe-pytorch", experts=2)).cases[0].case.as_dict())
    source = plugins.source_of(case.layer)
    assert source is not None
    assert source.name == "soft_moe_pytorch.py"
