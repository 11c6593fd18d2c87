"""Whether what a node of a cluster has is what the runner has: numbers of two versions make no run."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from harness.engine.environment import source_digest, version

SOFTWARE = ("torch", "triton")


def unequal(told: Mapping[str, Any]) -> str | None:
    """Return in what a node's versions are not those here, as a sentence; None where they are the same.

    `told` is what `Keeping.describe` returns.
    """
    there = told["environment"]
    pairs: list[tuple[str, Any, str | None]] = [("python", there.get("python"), platform.python_version())]
    pairs += [(name, there.get(name), version(name)) for name in SOFTWARE]
    pairs.append(("the harness's source", told.get("harness"), source_digest()))
    wrong = [
        f"{name} {theirs or 'missing'} (here {ours or 'missing'})" for name, theirs, ours in pairs if theirs != ours
    ]
    if not wrong:
        return None
    host = there.get("hostname") or "a node"
    return f"{host} has {' and '.join(wrong)}: a run has one version of each, so install the same on all nodes"
