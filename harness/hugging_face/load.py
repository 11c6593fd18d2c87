"""From a config.json to the model, without weights and without code from anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from harness.declare.counts import CannotCount

_COUNTABLE = {"attn_implementation": "eager", "experts_implementation": "batched_mm"}
"""Plain products that torch's counter sees: all scores, and K experts a token. Other ways count more, or need data."""


def load(path: Path) -> Any:
    """Return the transformers model that the config.json at `path` describes, on the meta device, in evaluation mode.

    It is of the class that the file names, or else of the usual one of its type. Raises CannotCount.
    """
    transformers = _library()
    try:
        config = transformers.AutoConfig.from_pretrained(
            str(path), trust_remote_code=False, local_files_only=True, **_COUNTABLE
        )
        with torch.device("meta"):
            return _class(transformers, config)(config).eval()
    except Exception as error:  # whatever a file of somebody else's makes the library stumble over
        version, reason = transformers.__version__, " ".join(str(error).split())
        raise CannotCount(
            f"{path}: transformers {version} cannot build this model: {type(error).__name__}: {reason[:300]}\n"
            "    expected: a config.json that this version knows, with sizes that go together; "
            "code that a repository brings along is never run"
        ) from None


def _library() -> Any:
    """Return transformers, silenced; raise CannotCount where it is missing."""
    try:
        import transformers
    except ImportError as error:
        raise CannotCount(
            f"a config.json needs transformers, which cannot be imported: {error}\n"
            '    try: pip install "moe-harness[hf]"'
        ) from None
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    return transformers


def _class(transformers: Any, config: Any) -> Any:
    """Return the class of the model: the first that the file names and transformers has, or its type's usual one."""
    for name in config.architectures or ():
        named = getattr(transformers, str(name), None)
        if isinstance(named, type) and issubclass(named, transformers.PreTrainedModel):
            return named
    pair = ("SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ")
    single = ("IMAGE_TEXT_TO_TEXT", "CAUSAL_LM", "IMAGE_CLASSIFICATION", "MASKED_LM")
    for task in pair if config.is_encoder_decoder else single:
        mapping = getattr(transformers, f"MODEL_FOR_{task}_MAPPING")
        if type(config) in mapping:
            return mapping[type(config)]
    return transformers.MODEL_MAPPING[type(config)]
