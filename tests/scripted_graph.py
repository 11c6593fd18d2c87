"""CUDA graphs of the scripted GPU: what is launched in a capture does not run, and runs at each replay.

A wait in a capture spoils it, and leaving a spoilt capture raises an error of its own, as torch.cuda.graph does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.scripted_cuda import ScriptedCuda

NOT_PERMITTED = (
    "CUDA error: operation not permitted when stream is capturing\nCUDA kernel errors might be reported late"
)
INVALIDATED = "CUDA error: operation failed due to a previous error during capture"


@dataclass
class ScriptedGraph:
    """A `torch.cuda.CUDAGraph`."""

    cuda: ScriptedCuda
    kernels: list[tuple[float, str]] = field(default_factory=list)

    def replay(self) -> None:
        self.cuda.log.append("replay")
        for ms, stream in self.kernels:
            self.cuda.kernel(ms, stream=stream)


class ScriptedStream:
    """A `torch.cuda.Stream`."""

    def wait_stream(self, other: ScriptedStream) -> None:
        """Do nothing: the scripted host launches in order."""


@dataclass
class ScriptedGraphs:
    """The part of `torch.cuda` that captures."""

    capturing: ScriptedGraph | None = None
    spoils: bool = False
    """Whether a failed capture leaves the GPU unfit."""
    unfit: bool = False

    def Stream(self) -> ScriptedStream:  # noqa: N802
        return ScriptedStream()

    def current_stream(self) -> ScriptedStream:
        return ScriptedStream()

    def stream(self, stream: ScriptedStream) -> Any:
        return nullcontext()

    def CUDAGraph(self: Any) -> ScriptedGraph:  # noqa: N802
        return ScriptedGraph(self)

    @contextmanager
    def graph(self, graph: ScriptedGraph) -> Iterator[None]:
        self.capturing = graph
        try:
            yield
        except RuntimeError:
            self.unfit = self.spoils
            raise RuntimeError(INVALIDATED)  # noqa: B904  # as torch: raised in __exit__, the first is its context
        finally:
            self.capturing = None

    def synchronize_after(self: Any, ms: float) -> Callable[[], None]:
        """Return what a layer does that waits for its kernel of `ms`, as one that reads routing counts."""

        def launches() -> None:
            self.kernel(ms)
            self.synchronize()

        return launches

    def wait_allowed(self) -> None:
        """Raise where the host may not wait: in a capture, and once a failed one has left the GPU unfit."""
        if self.capturing is not None:
            raise RuntimeError(NOT_PERMITTED)
        if self.unfit:
            raise RuntimeError("CUDA error: unspecified launch failure")
