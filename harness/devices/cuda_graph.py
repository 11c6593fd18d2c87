"""Calls captured in a CUDA graph, by torch.cuda.graph.

A layer that reads on the host what the device has computed, such as how many tokens each expert got, cannot be
captured: CUDA forbids to wait in a capture. That is a property of the layer, found by trying.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.devices.interface import Captured, CaptureFailed

WARM_UP_CALLS = 3
"""Calls on a side stream before the capture, as torch's notes on CUDA graphs ask for: they allocate workspaces and pick
kernels, which a capture must not."""


def capture(cuda: Any, run: Callable[[], object]) -> Captured:
    """Return `run` as a graph of its kernels; `cuda` is `torch.cuda`, or what stands in for it in a test.

    Raises:
        CaptureFailed: A call in `run` cannot be captured; its cause is the error that came first. An error in the
            warm-up is raised as it is.
    """
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):
        for _ in range(WARM_UP_CALLS):
            run()
    cuda.current_stream().wait_stream(side)
    graph = cuda.CUDAGraph()
    try:
        with cuda.graph(graph):
            output = run()
    except Exception as error:  # in a capture torch, CUDA and libraries raise errors of many kinds
        first = _first(error)
        line = str(first).strip().partition("\n")[0]
        raise CaptureFailed(line or type(first).__name__) from first
    return Captured(graph.replay, output)


def _first(error: BaseException) -> BaseException:
    """Return the error that came first: leaving a spoilt capture raises a second one, which says less."""
    while error.__context__ is not None:
        error = error.__context__
    return error
