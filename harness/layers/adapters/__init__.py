"""Other people's layers, each behind an optional package: imported when a case asks for one, and not before.

Those of the same mathematics as one of our kinds are backends of it (`harness/declare/adapters.py` says what each
needs); those of other mathematics are plug-ins like anybody's (`harness/layers/plugins.py`).
"""

from __future__ import annotations

import importlib

from harness.layers.adapters.base import Adapter

_CLASSES = {
    "transformers-eager": "transformers_blocks:TransformersBlock",
    "transformers-batched": "transformers_blocks:TransformersBlock",
    "transformers-grouped": "transformers_blocks:TransformersBlock",
    "megablocks": "megablocks:MegaBlocks",
    "sonicmoe": "sonicmoe:SonicMoe",
    "scattermoe": "scattermoe:ScatterMoe",
    "tutel": "tutel:Tutel",
}
"""Module and class of each backend in `harness.declare.adapters.ADAPTERS`."""


def adapter(backend: str) -> type[Adapter]:
    """Return the class that stands for `backend`; its package is imported here."""
    module, _, name = _CLASSES[backend].partition(":")
    found: type[Adapter] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return found
