"""A rank for tests: the real one, with probes that show everything, and some that something befalls in rank 1.

python -m tests.spread_rank FOLDER [options of the real rank]
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.layers.spread import SpreadFfn, replicated
from harness.parallel import measure, rank
from harness.parallel.together import Together
from harness.probes.outcome import Outcome
from harness.probes.rows import tapping


def everything(together: Together) -> Outcome:
    """Output and gradients of all ranks, as those of one device; and what torch was handed to send, in bytes."""
    subject = together.subject
    with tapping(subject.layer) as (seen,), Handed() as handed:
        y = subject.run().detach()
    found = {"y": together.joined(y)}
    if subject.case.trains:
        assert subject.x.grad is not None
        found["x"] = together.joined(subject.x.grad)
        everywhere = {id(weight) for weight in replicated(subject.layer)}
        for name, weight in subject.layer.named_parameters():
            own = weight.new_zeros(weight.shape) if weight.grad is None else weight.grad
            each = together.control.gather(own)  # [n, ..]
            found[name] = each[0] if id(weight) in everywhere else each.flatten(0, 1)
            if id(weight) in everywhere and not bool((each == each[0]).all()):
                return Outcome(incorrect=f"the gradient of {name} is not the same on all ranks")
    found |= {f"tap {name}": together._tap(name, seen[name]) for name in ("choice", "order") if name in seen}
    found["handed"] = together.control.gather(handed.sent())
    assert isinstance(subject.layer.ffn, SpreadFfn)
    return Outcome(series={name: tensor.double().flatten().tolist() for name, tensor in found.items()})


class Handed(TorchDispatchMode):
    """Sees what torch's own operator is given, whatever the layer counts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sent: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name() == "c10d::alltoall_base_":
            _, rows, _, _, splits = args[:5]
            each = rows.nbytes // max(1, len(rows))
            self._sent += [count * each for peer, count in enumerate(splits) if peer != dist.get_rank()]
        return func(*args, **(kwargs or {}))

    def sent(self) -> Tensor:
        return torch.tensor(self._sent, dtype=torch.int64)


def _in_rank_1(befall: Any) -> Any:
    def probe(together: Together) -> Outcome:
        together.subject.run()
        if together.control.rank == 1:
            befall()
        together.subject.run()
        return Outcome()

    return probe


def _raise(error: BaseException) -> None:
    raise error


measure.PROBES |= {
    "everything": everything,
    "stops": _in_rank_1(lambda: os.kill(os.getpid(), signal.SIGSTOP)),
    "dies": _in_rank_1(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "fails": _in_rank_1(lambda: _raise(ValueError("planted"))),
}

if __name__ == "__main__":
    sys.exit(rank.main())
