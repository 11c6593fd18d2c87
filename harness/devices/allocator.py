"""What the caching allocator says of one pass, from `torch.cuda.memory_stats()` before and after it."""

from __future__ import annotations

from collections.abc import Mapping


def of_pass(peak: int, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return what the caching allocator's statistics say of one pass; what this torch does not keep is left out."""
    said = {name: after[name] - before.get(name, 0) for name in ("num_alloc_retries", "num_ooms") if name in after}
    if (split := after.get("inactive_split_bytes.all.current")) is not None:
        said["inactive_split_bytes"] = split
    if (asked := after.get("requested_bytes.all.peak")) is not None:
        said["rounding_bytes"] = peak - (asked - before.get("requested_bytes.all.current", 0))
    return said
