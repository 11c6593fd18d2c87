"""One visit, as one of the ranks that make it together sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from harness.case import Case
from harness.declare.exchange import Link
from harness.devices.interface import Device
from harness.parallel.control import Control
from harness.parallel.subject import RankSubject, whole_subject
from harness.probes.outcome import Settings
from harness.probes.rows import tapping
from harness.probes.subject import Subject

TAPS = ("logits", "scores", "choice", "kept", "load", "priority", "order")
"""What ranks show each other of what a layer shows."""


@dataclass
class Together:
    """One visit, as one rank sees it."""

    case: Case
    """That of all ranks."""
    subject: RankSubject
    device: Device
    settings: Settings
    control: Control
    link: Callable[[], Link | None]
    """Gives this rank's link to the others, measured once for all visits; all ranks must ask at once."""
    folders: tuple[str, ...] = ()

    @cached_property
    def whole(self) -> Subject:
        """The layer on one device, with the same weights and input; made by whoever needs it."""
        return whole_subject(self.case, self.settings.seed, self.folders)

    def collect(self, own: object) -> list[object]:
        """Return what each rank says, by rank; plain values."""
        return [json.loads(text) for text in self.control.collect(json.dumps(own).encode())]

    def pass_(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Do the case's pass once, and return output and taps of all ranks as those of one device would be."""
        return self._seen(self.subject.run)

    def forward(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the same of a forward pass without gradients."""
        with torch.no_grad():
            return self._seen(lambda: self.subject.forward(self.subject.x))

    def _seen(self, run: Callable[[], Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        with tapping(self.subject.layer) as (seen,):
            y = run().detach()
        self.subject.drop_gradients()
        return self.joined(y), {name: self._tap(name, seen[name]) for name in TAPS if name in seen}

    def joined(self, own: Tensor) -> Tensor:
        """Return the ranks' tensors one after another along the first dimension."""
        return self.control.gather(own).flatten(0, 1)

    def _tap(self, name: str, own: Tensor) -> Tensor:
        if name == "load":
            return self.control.gather(own).sum(0)
        if name == "order":  # of tokens: those of a rank come after those of all before it
            own = own + self.control.rank * len(own)
        return self.joined(own)
