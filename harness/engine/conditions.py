"""Conditions that a measuring process on a CPU starts under, the same for all; what the user has set stands.

Both were chosen by trial on a shared machine of two cores, where the defaults made times depend on anything but the
layer; `docs/method.md` has the figures. They are recorded with every run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

CONDITIONS = {
    # Freed memory stays in the process, as it does under CUDA's caching allocator. glibc gives large blocks back at
    # once, and every gradient of a large expert bank then comes from fresh pages: a third of the time of such a pass
    # was the kernel zeroing them.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
    # A thread that waits for its peers sleeps after some microseconds. By default it spins for milliseconds: when
    # another process holds a core, it holds the other against the very thread that it waits for, and calls take a
    # hundred times as long. With cores to spare this count changes nothing.
    "GOMP_SPINCOUNT": "10000",
    # Kineto reports the start and the end of every profile on stderr.
    "KINETO_LOG_LEVEL": "99",
}


def measuring_environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that measures: `inherited` (None: ours), with what it lacks of these."""
    return {**CONDITIONS, **(os.environ if inherited is None else inherited)}


@contextmanager
def held_to(cores: Sequence[int]) -> Iterator[None]:
    """Hold what this thread starts in the block to these cores, and the thread itself as long; none: all that it has.

    A process starts with the cores of the thread that starts it.
    """
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
