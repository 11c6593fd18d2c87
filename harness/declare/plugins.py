"""Plug-ins: layers that are not ours, named by an entry point or as `module:function`; found without importing them.

A suite that says `layer = "mypackage.mymodule:build"` names code. The module is looked for in the folder of the
suite's file, in the working folder, then among all that Python can import, in this order, here and in the worker alike.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from harness.case import Case
from harness.declare.adapters import LAYER_PACKAGES, missing
from harness.declare.axes import KINDS

GROUP = "moe_harness.layers"
"""The entry-point group in which a package announces its layers: `my-layer = "mypackage.mymodule:build"`."""

OURS = {
    "soft-moe-pytorch": "harness.layers.adapters.soft_moe_pytorch:build",
    "st-moe-pytorch": "harness.layers.adapters.st_moe_pytorch:build",
}
"""What this package announces itself; said here too, so that a checkout that is not installed knows them."""

TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""A module and a function in it."""


def is_plugin(layer: str) -> bool:
    """Return whether `layer` is somebody's own, with no closed form and no marks inside."""
    return layer not in KINDS


def names_code(layer: str) -> bool:
    """Return whether `layer` is spelt as code, which may lie beside the suite; an announced one is installed."""
    return ":" in layer


@cache
def announced() -> dict[str, str]:
    """Return the layers that installed packages announce, `module:function` by name, ours first."""
    found = {point.name: f"{point.module}:{point.attr}" for point in metadata.entry_points(group=GROUP)}
    return OURS | {name: target for name, target in sorted(found.items()) if name not in OURS}


def target_of(layer: str) -> str | None:
    """Return the `module:function` that builds `layer`; None for a name that no installed package announces."""
    return layer if names_code(layer) else announced().get(layer)


def unsupported(case: Case, folder: Path | None = None) -> str | None:
    """Return why the plug-in of `case` cannot run, in words, or None; `folder` is that of the suite's file."""
    if case.scope != "layer":
        return f'scope = "{case.scope}" is for our own kinds of layer; a plug-in is measured alone: scope = "layer"'
    if case.expert_parallel > 1:
        return "expert_parallel spreads our own kinds of layer over ranks; a plug-in is measured on one device"
    if case.compile:
        return "compile = true is for our own kinds of layer; a plug-in may compile what it returns itself"
    return unavailable(case.layer, folder)


def unavailable(layer: str, folder: Path | None = None) -> str | None:
    """Return why `layer` cannot be had, in words, or None; `folder` is that of the suite's file."""
    if layer in LAYER_PACKAGES:
        return missing(LAYER_PACKAGES[layer])
    target = target_of(layer)
    if target is None:
        return f"no installed package announces a layer {layer!r} (entry-point group {GROUP})"
    module = target.partition(":")[0]
    if _spec(module, folder) is None:
        places = "beside the suite, in the working folder, or among the installed packages"
        return f"there is no module {module} {places if names_code(layer) else 'among the installed packages'}"
    return None


def source_of(layer: str, folder: Path | None = None) -> Path | None:
    """Return the file that holds the module of the plug-in `layer`; None where there is no such file."""
    target = target_of(layer)
    spec = None if target is None else _spec(target.partition(":")[0], folder)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def search_folders(folder: Path | None = None) -> list[str]:
    """Return where a plug-in is looked for before all else: the suite's folder, then the working folder."""
    here = str(Path.cwd())
    return list(dict.fromkeys([here if folder is None else str(folder.resolve()), here]))


def code_named(layers: Iterable[str], folder: Path | None = None) -> list[str]:
    """Return the modules that `layers` name, each with the file that it is in."""
    by_module = {layer.partition(":")[0]: layer for layer in layers if names_code(layer)}
    return [f"{module} ({source_of(layer, folder) or 'not found'})" for module, layer in by_module.items()]


def _spec(module: str, folder: Path | None) -> ModuleSpec | None:
    """Return the spec of `module`, found part by part: importlib's own search would import its parents."""
    importlib.invalidate_caches()
    first, *rest = module.split(".")
    spec = PathFinder.find_spec(first, search_folders(folder)) or _installed(first)
    name = first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name += f".{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _installed(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # __main__ and the like have none
        return None if name not in sys.modules else sys.modules[name].__spec__
