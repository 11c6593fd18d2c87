"""What a visit's numbers stand on in code: the source of its layer, and of the way in which it was measured.

A digest goes over the Python files that a module imports, found in their text: nothing is executed, and no torch is
needed. So a changed layer is told from an unchanged one, one kind at a time.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from harness.case import Case
from harness.declare.adapters import ADAPTERS
from harness.declare.planned import Plan
from harness.declare.plugins import is_plugin, search_folders, target_of
from harness.declare.rounds import measured_by
from harness.declare.visits import CHECK

SAID_BY_THE_KEY = frozenset({"harness", "harness.case", "harness.metrics", "harness.layers"})
"""Modules that every layer or probe imports, and whose part in a number is in the case's key already; the last one
lists all kinds."""
MEASURING = ("harness.engine.worker", "harness.engine.shelf", "harness.engine.conditions")
"""What all visits share beside their probe and their device; of these the files alone, since a worker imports all."""


RANKS = "harness.parallel.rank"
"""What a layer that is spread over ranks runs in."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Digests of what the visits of a run stand on."""

    layers: dict[str, str]
    """By what `layer_name` calls it: its files."""
    probes: dict[str, str]
    """By probe: its files, those of the device, and its settings."""

    @classmethod
    def of(cls, plan: Plan, device: str, root: Path | None = None) -> Sources:
        """Return the digests of what `plan` needs on a device of this kind, as the files are now.

        `root` is the checkout whose files they are; None: this one's.
        """
        measure = plan.suite.measure
        shared = [measure.seconds_per_visit, measure.min_samples, measure.seed]
        own = {"energy": [measure.energy_seconds]}
        settings = {probe: json.dumps(shared + own.get(probe, [])) for probe in (CHECK, *measure.probes)}
        names = sorted({layer_name(planned.case) for planned in plan.cases})
        folder = plan.suite.path.parent
        return cls(
            {name: layer_digest(name, folder, root) for name in names},
            {probe: _digest(_probe_files(probe, device, _first(root)), said) for probe, said in settings.items()},
        )

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Sources | None:
        """Return what run.json says; None in runs of versions that kept none."""
        return None if document.get("sources") is None else cls(**document["sources"])

    def as_dict(self) -> dict[str, dict[str, str]]:
        """Return the digests as run.json keeps them."""
        return asdict(self)

    def of_visit(self, case: Case, probe: str) -> tuple[str, str]:
        """Return the digests that a visit of `case` by `probe` stands on: its layer's and its method's."""
        return self.layers[layer_name(case)], self.probes[measured_by(probe)]


def layer_name(case: Case) -> str:
    """Return what tells layers of different source apart: the kind, and the adapter or the scope that is around it."""
    if case.expert_parallel > 1:
        return f"{case.layer}/ranks"
    around = case.backend if case.backend in ADAPTERS else case.scope
    return case.layer if around == "layer" or is_plugin(case.layer) else f"{case.layer}/{around}"


def layer_digest(name: str, folder: Path | None = None, root: Path | None = None) -> str:
    """Return 16 hex digits over the source of a layer, by its `layer_name`; of a plug-in, over its module's package.

    `folder` is that of the suite, where a plug-in is looked for first, but for `root`, a checkout to be measured.
    """
    (kind, _, around), first = name.partition("/"), _first(root)
    if not is_plugin(kind):
        rooms = {
            "block": "harness.layers.block",
            "model": "harness.layers.model",
            "ranks": RANKS,
            "": f"harness.layers.{kind}",
        }
        around_it = _closure(rooms.get(around, "harness.layers.adapters"), first)
        return _digest(_closure_in("harness.layers", kind, first) | around_it, "")
    target = target_of(kind)
    return _digest(_closure(target.partition(":")[0], (*first, *search_folders(folder))) if target else (), "")


def _first(root: Path | None) -> tuple[str, ...]:
    return () if root is None else (str(root),)


def _probe_files(probe: str, device: str, folders: tuple[str, ...] = ()) -> set[Path]:
    files = _closure_in("harness.probes", probe, folders) | _closure(f"harness.devices.{device}", folders)
    layers = _file("harness.layers", folders)
    measuring = {path for module in MEASURING if (path := _file(module, folders))}
    return measuring | {path for path in files if layers is None or layers.parent not in path.parents}


def _closure_in(room: str, name: str, folders: tuple[str, ...] = ()) -> set[Path]:
    """Return the files of a module in `room`, or of all of the room where `name` is not that of a module."""
    return _closure(f"{room}.{name}", folders) or _closure(room, folders)


def _digest(paths: Iterable[Path], settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for content in sorted((path.name, _content_digest(path)) for path in paths):
        digest.update("\0".join(content).encode())
    return digest.hexdigest()[:16]


def _content_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _closure(module: str, folders: tuple[str, ...] = ()) -> set[Path]:
    """Return the files of `module`, looked for in `folders` first, and of all it imports from its top-level package."""
    package, todo, seen = module.partition(".")[0], [module], set[str]()
    files: set[Path] = set()
    while todo:
        name = todo.pop()
        if name in seen or (path := _file(name, folders)) is None:
            continue
        seen.add(name)
        files.add(path)
        inner = (found for found in _imports(path, name, folders) if found.partition(".")[0] == package)
        todo += [found for found in inner if found not in SAID_BY_THE_KEY]
    return files


def _imports(path: Path, module: str, folders: tuple[str, ...]) -> Iterator[str]:
    """Yield the modules that a file imports anywhere in it, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, path, module)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if _file(inner, folders) else source


def _absolute(node: ast.ImportFrom, path: Path, module: str) -> str:
    """Return the module of `from ... import`, also where it is said relative to this one."""
    if not node.level:
        return node.module or ""
    up = node.level - 1 if path.name == "__init__.py" else node.level
    parts = module.split(".")
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


@cache
def _file(module: str, folders: tuple[str, ...] = ()) -> Path | None:
    """Return the Python file of a module; None where there is none. No package is imported for it."""
    spec: ModuleSpec | None = None
    path = [*folders, *sys.path]
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    origin = spec.origin if spec is not None else None
    return Path(origin) if origin is not None and origin.endswith(".py") else None
