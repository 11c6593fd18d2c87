"""Marks: under what state of the machine a visit was made. A marked sample is kept; the report says that it is one.

A threshold is where the machine's state can move a time by more than the 2 % that verdicts rest on, or, where the clock
that counts it is too coarse for that, the least that it can tell for sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.devices.interface import Fact
from harness.record import Mark

State = Mapping[str, Fact]

MOVED = "moved"
"""What the state before a visit says of one whose round was begun on another device."""

OTHERS_PERCENT = 5.0
"""Of all cores' time. On two cores that is a tenth of one: a layer that uses both waits for the slower one, and takes
up to a tenth longer."""
OTHERS_S = 0.05
"""And at least so much: Linux counts in steps of 10 ms, for the machine and for the process, in user's and system's."""
STEAL_PERCENT = 1.0
"""Half of the 2 %; the hypervisor's count is exact."""
STEAL_S = 0.02
"""And at least two steps of the clock."""
LOAD_PER_CORE = 1.5
"""Our own threads make at most one a core; half as many again that want to run are somebody else's."""
SWAP_BYTES = 1 << 20
"""256 pages: a page read back takes 0.1 ms from a fast disk, so these take 26 ms, half a usual visit."""
TEMPERATURE_MARGIN_C = 3.0
"""Below the temperature at which the device slows itself down: sensors are read once before and once after a visit."""


def marks(before: State, after: State, series: Mapping[str, Sequence[float]] | None = None) -> list[Mark]:
    """Return the marks of a visit by the machine's state before and after it, and by what its probe kept of its blocks.

    A reading that is missing marks none.
    """
    told = {mark for name, mark in _OF_BLOCKS.items() if any((series or {}).get(name, ()))}
    return [mark for mark, holds in _RULES.items() if mark in told or holds(before, after)]


def _others(before: State, after: State) -> bool:
    return _share(after, "others_percent", OTHERS_PERCENT, OTHERS_S)


def _loaded(before: State, after: State) -> bool:
    return _number(before, "load_per_core") > LOAD_PER_CORE  # after it, the visit itself counts too


def _stolen(before: State, after: State) -> bool:
    return _share(after, "steal_percent", STEAL_PERCENT, STEAL_S)


def _share(state: State, name: str, percent: float, seconds: float) -> bool:
    """Return whether a share of the cores' time is above a limit, and more of it than the clock's own error."""
    share = _number(state, name)
    return share > percent and share / 100 * _number(state, "core_seconds") > seconds


def _swapping(before: State, after: State) -> bool:
    if "swap_moved_bytes" not in before or "swap_moved_bytes" not in after:
        return False
    return _number(after, "swap_moved_bytes") - _number(before, "swap_moved_bytes") > SWAP_BYTES


def _quota(before: State, after: State) -> bool:
    return _counted(before, after, "quota_throttles")  # each costs up to a period, 100 ms


def _squeezed(before: State, after: State) -> bool:
    return _counted(before, after, "memory_limit_hits")


def _counted(before: State, after: State, name: str) -> bool:
    """Return whether a count of the system's has grown in the visit; without both readings nothing is known."""
    return name in before and name in after and _number(after, name) > _number(before, name)


def _hot(before: State, after: State) -> bool:
    return any(
        _number(state, "temperature_c") >= limit - TEMPERATURE_MARGIN_C
        for state in (before, after)
        if (limit := _number(state, "temperature_limit_c")) > 0
    )


def _throttled(before: State, after: State) -> bool:
    """Return whether the device was held back; a CPU counts how often, a GPU says whether it is now."""
    count = _number(after, "throttle_count") - _number(before, "throttle_count")
    return count > 0 or any(state.get("throttled") is True for state in (before, after))


def _number(state: State, name: str) -> float:
    value = state.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


_RULES: dict[Mark, Callable[[State, State], bool]] = {
    "busy": _others,
    "loaded": _loaded,
    "stolen": _stolen,
    "swapping": _swapping,
    "quota": _quota,
    "squeezed": _squeezed,
    "shared_gpu": lambda before, after: any(_number(state, "foreign_processes") > 0 for state in (before, after)),
    "throttled": _throttled,
    "hot": _hot,
    "unsettled": lambda *_: False,  # only blocks tell
    "moved": lambda before, _: before.get(MOVED) is True,
}

_OF_BLOCKS: dict[str, Mark] = {
    "block_throttled": "throttled",
    "hot_block_throttled": "throttled",
    "graph_block_throttled": "throttled",
    "unsettled": "unsettled",
}
"""Series of a visit of which one number above 0 marks it; `harness/probes/samples.py` keeps them."""
