"""The walls of the house, held: who may import whom, and who may import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = [
    {"harness", "harness.metrics", "harness.devices", "harness.program", "harness.recent"},
    {"harness.case"},
    {"harness.record", "harness.declare", "harness.layers"},
    {"harness.probes", "harness.judge", "harness.hugging_face"},
    {"harness.parallel"},
    {"harness.engine"},
    {"reports"},
    {"harness.nightly"},
    {"harness.cli", "harness.testing"},
]
"""From the ground up: a room stands above all that it imports. Rooms of one floor do not import each other,
but for the pairs in BESIDE."""

BESIDE = {
    ("harness.devices", "harness"),
    ("harness.layers", "harness.declare"),
    ("harness.probes", "harness.judge"),  # pure functions of numbers, which a warm-up must ask while it lasts
}

TORCHLESS = ("harness.declare", "harness.judge", "reports", "harness.metrics", "harness.case", "harness.record")

FORBIDDEN = {
    "reports": ("torch", "harness.layers", "harness.probes", "harness.devices", "harness.engine"),
    "harness.layers": ("harness.probes", "harness.judge"),
    "harness.judge": ("torch", "harness.case", "harness.record", "harness.declare", "harness.metrics"),
    "harness.declare": ("torch",),
    "harness.testing": ("harness.cli", "reports"),
}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] == "reports":
        return "reports"
    return ".".join(parts[:2]) if parts[0] == "harness" else None


def _floor(room: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return found


SOURCES = [path for folder in ("harness", "reports") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_room_has_a_floor() -> None:
    rooms = {_room(_module(path)) for path in SOURCES}
    assert {room for room in rooms if room} <= set().union(*FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_nothing_imports_upwards(path: Path) -> None:
    room = _room(_module(path))
    assert room is not None
    for name in _imports(path):
        target = _room(name)
        if target is None or target == room:
            continue
        lower = _floor(target) < _floor(room) or (room, target) in BESIDE
        assert lower, f"{_module(path)} imports {name}, which stands beside or above it"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_forbidden_imports(room: str) -> None:
    for path in SOURCES:
        if _room(_module(path)) == room:
            for name in _imports(path):
                assert not name.startswith(FORBIDDEN[room]), f"{_module(path)} imports {name}"


def test_what_needs_no_torch_loads_none() -> None:
    names = [_module(path) for path in SOURCES if _module(path).startswith(TORCHLESS)]
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_a_worker_loads_nothing_of_ranks_but_their_owner() -> None:
    rooms = ("harness.parallel.", "harness.layers.spread", "harness.layers.exchange")
    code = f"import sys, harness.engine.worker; print(sorted(name for name in sys.modules if name.startswith({rooms})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == str([f"harness.parallel.{name}" for name in ("folder", "lines", "pulse", "ranks")])


def test_a_worker_loads_no_statistics_until_a_probe_asks() -> None:
    code = "import sys, harness.engine.worker; print([n for n in ('scipy', 'pandas', 'plotly') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_loads_neither_torch_nor_the_report_for_its_help() -> None:
    code = "import sys, harness.cli; print([n for n in ('torch','plotly','scipy','pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
