"""Attribution: whose bytes stand at the peak of a pass.

The allocator says how high the peak is and not what it is made of. So the pass is made once more under a dispatch mode
that follows every storage which an operator returns until it is freed: what stands at the highest sum is told apart by
what autograd saved and by what ended as a gradient. The allocator's peak less that sum is what kernels allocate inside
themselves, which no dispatch mode sees: workspace. `torch.distributed._tools.MemTracker` finds the same sum, and is its
oracle in the tests; it is not used here since it cannot follow a pass without gradients, calls all that a forward pass
returns an activation, whether it is saved or not, and is private to torch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.layers.interface import Phase, observing
from harness.probes.subject import Subject


@dataclass(frozen=True, slots=True)
class Attribution:
    """The highest sum of all tensors that one pass makes, in bytes above what stood before, by role."""

    saved: int
    """Kept for the backward pass, and not yet given back."""
    gradients: int
    """Of weights and input, as far as they are there at that moment."""
    temporaries: int
    """All else: rows in flight, gradients of intermediate results, the output."""
    moment: str
    """Where in the pass it stands: in a phase of the forward pass or its `other`, in `backward`, in the `step`."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.saved + self.gradients + self.temporaries


class StorageTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that operators return until they are freed.

    What an operator is given and none has returned stood before, such as weights and input, and is not counted.
    """

    def __init__(self, moment: Callable[[], str] = lambda: "other") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.peak = 0
        self.moment = moment()
        """What `moment` said when the sum was highest."""
        self._now = moment
        self.at_peak: dict[int, int] = {}
        """Bytes of each storage that stood at the highest sum, by its number."""
        self.live: dict[int, int] = {}
        """Bytes of each storage that stands now."""
        self._number: dict[int, int | None] = {}  # by the storage's address; None: it stood before
        self._watched: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._made = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in _tensors((args, kwargs)):
            self._know(tensor, stood_before=True)
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            self._know(tensor, stood_before=False)
        now = self._now()  # at each operator: a step is known by the backward pass that went before
        if self.held > self.peak:
            self.peak, self.at_peak, self.moment = self.held, dict(self.live), now
        return out

    def number(self, tensor: Tensor) -> int | None:
        """Return the number of the storage of `tensor`; None where it stood before, or was never seen."""
        return self._number.get(_address(tensor))

    def _know(self, tensor: Tensor, *, stood_before: bool) -> None:
        address, storage = _address(tensor), tensor.untyped_storage()
        if address not in self._number:
            self._made += 1
            self._number[address] = None if stood_before else self._made
            self._watched[address] = weakref.ref(storage, lambda _: self._forget(address))
        if (number := self._number[address]) is not None:  # some operators resize what they are given
            self.held += storage.nbytes() - self.live.get(number, 0)
            self.live[number] = storage.nbytes()

    def _forget(self, address: int) -> None:
        del self._watched[address]
        if (number := self._number.pop(address)) is not None:
            self.held -= self.live.pop(number)


def attribute(subject: Subject) -> Attribution:
    """Return whose bytes stand at the peak of one pass of the eager `subject`; its gradients are left there."""
    clock = _Moment()
    tracker = StorageTracker(clock.now)
    with observing(subject.layer, clock), tracker, saving(tracker.number) as saved:
        y = subject.run()
    del y
    leaves = (*subject.layer.parameters(), subject.x)
    gradients = {tracker.number(leaf.grad) for leaf in leaves if leaf.grad is not None}
    return Attribution(
        saved=_sum(tracker.at_peak, saved - gradients),
        gradients=_sum(tracker.at_peak, gradients),
        temporaries=_sum(tracker.at_peak, tracker.at_peak.keys() - saved - gradients),
        moment=tracker.moment,
    )


class _Moment:
    """An observer that knows where in the pass it is."""

    looks = False

    def __init__(self) -> None:
        self._phases: list[Phase] = []
        self._went_back = False

    def enter(self, phase: Phase) -> None:
        self._phases.append(phase)

    def leave(self, phase: Phase) -> None:
        self._phases.pop()

    def tap(self, name: str, value: Tensor) -> None:
        """Do nothing: nobody looks."""

    def now(self) -> str:
        """Return the phase, or what else the pass is at."""
        if torch._C._current_graph_task_id() != -1:
            self._went_back = True
            return "backward"
        if self._phases:
            return self._phases[-1]
        return "step" if self._went_back else "other"


@contextmanager
def saving(number: Callable[[Tensor], int | None]) -> Iterator[set[int]]:
    """Yield the numbers of the storages that autograd saves in the block, as it goes on."""
    saved: set[int] = set()

    def pack(tensor: Tensor) -> Tensor:
        if (own := number(tensor)) is not None:
            saved.add(own)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved


def _tensors(tree: Any) -> Iterable[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.layout == torch.strided)


def _address(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _sum(of: dict[int, int], numbers: Iterable[int | None]) -> int:
    return sum(of.get(number, 0) for number in numbers if number is not None)
