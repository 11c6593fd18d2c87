"""The clock of a GPU: CUDA events on the current stream, and a watch on what the events do not see.

Cold calls each follow a memset of twice the L2 size that the device reports (flashinfer's rule) and have an event pair
of their own; hot calls run back to back inside one pair. The host waits once, at the end, so that it runs ahead of the
device as it does in real use.

Events time one stream. So the host waits for the last of them first, and then for the whole device: where the second
wait takes long, the calls had left work on another stream, which no event has timed (KernelBench's `EVAL.md` lists the
trick).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from harness.devices.clock import LOOKS, resolution
from harness.devices.interface import Block

FLUSH_L2_TIMES = 2
"""Bytes written between cold calls, in sizes of the L2 cache."""
EVENT_RESOLUTION_S = 0.5e-6
"""What CUDA's documentation says of cudaEventElapsedTime: taken where empty pairs of events show no step."""


class EventClock:
    """Times calls on the current stream of one GPU.

    Args:
        cuda: `torch.cuda`, or what stands in for it in a test.
        l2_bytes: The size of the cache to be flushed.
        allocate: Makes a buffer of so many bytes that has `zero_()`.
    """

    def __init__(self, cuda: Any, l2_bytes: int, allocate: Callable[[int], Any]) -> None:
        self._cuda = cuda
        self._flush_bytes = FLUSH_L2_TIMES * l2_bytes
        self._allocate = allocate
        self._flush_buffer: Any = None

    def cold(self, run: Callable[[], object], calls: int) -> Block:
        """Time `calls` calls, the cache flushed before each."""
        if self._flush_buffer is None:
            self._flush_buffer = self._allocate(self._flush_bytes)
        pairs, host = [], 0
        for _ in range(calls):
            self._flush_buffer.zero_()
            start, end = self._event(), self._event()
            start.record()
            before = time.perf_counter_ns()
            run()
            host += time.perf_counter_ns() - before
            end.record()
            pairs.append((start, end))
        late = self._drain(end)
        device_ms = sum(start.elapsed_time(end) for start, end in pairs)
        return Block(device_ms / calls * 1e-3, host / calls * 1e-9, calls, late)

    def hot(self, run: Callable[[], object], calls: int) -> Block:
        """Time `calls` calls back to back."""
        start, end = self._event(), self._event()
        start.record()
        before = time.perf_counter_ns()
        for _ in range(calls):
            run()
        host = time.perf_counter_ns() - before
        end.record()
        late = self._drain(end)
        return Block(start.elapsed_time(end) / calls * 1e-3, host / calls * 1e-9, calls, late)

    @cached_property
    def resolution_s(self) -> float:
        """The least step that the device's clock was seen to make from one event to the next."""
        events = [self._event() for _ in range(LOOKS)]
        for event in events:
            event.record()
        self._cuda.synchronize()
        return resolution([events[0].elapsed_time(event) * 1e-3 for event in events], fallback=EVENT_RESOLUTION_S)

    def _drain(self, end: Any) -> float:
        """Wait for the stream, then for the device, and return the seconds of the second wait."""
        end.synchronize()
        done = time.perf_counter()
        self._cuda.synchronize()
        return time.perf_counter() - done

    def _event(self) -> Any:
        return self._cuda.Event(enable_timing=True)
