"""A config.json as a file: found and looked at without torch, so that a wrong path fails at once."""

from __future__ import annotations

import json
from pathlib import Path

from harness.declare.counts import CannotCount
from harness.declare.faults import shown

LARGEST = 16 << 20
"""Bytes of a config.json; a larger one is something else. So is a pipe, which would be waited for."""
MOST = 100_000
"""Layers, or experts of a layer, from which on building them all takes longer than anybody waits."""


def config_file(name: str) -> Path:
    """Return the path of the config.json that `name`, a file or a folder, means.

    Raises CannotCount where it is no JSON object that names its model type.
    """
    path = Path(name) / "config.json" if Path(name).is_dir() else Path(name)
    if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST):
        raise CannotCount(f"{path}: no file, or one above {LARGEST >> 20} MB\n    expected: a Hugging Face config.json")
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        names = "or a name that `harness count --list` prints"
        raise CannotCount(f"{path}: {error.strerror}\n    expected: a path to a config.json, {names}") from None
    except UnicodeDecodeError:
        raise CannotCount(f"{path}: this is no text in UTF-8\n    expected: a Hugging Face config.json") from None
    except json.JSONDecodeError as error:
        message = f"{path}:{error.lineno}: no JSON from column {error.colno} on: {error.msg}"
        raise CannotCount(f"{message}\n    expected: a Hugging Face config.json") from None
    except RecursionError:
        raise CannotCount(f"{path}: nested too deeply\n    expected: a Hugging Face config.json") from None
    kind = data.get("model_type") if isinstance(data, dict) else None
    if not isinstance(kind, str):
        found = f"model_type is {shown(kind)}" if isinstance(data, dict) else f"it holds {shown(data)}"
        expected = 'an object with "model_type": "mixtral" or another type that transformers knows'
        raise CannotCount(f"{path}: no model is described here: {found}\n    expected: {expected}")
    for key, value in data.items():
        if key.endswith(("layers", "experts")) and isinstance(value, int) and value > MOST:
            raise CannotCount(f"{path}: {key} is {shown(value)}\n    expected: at most {MOST:,}")
    return path
