"""run.json while its run goes on: which devices it has met, its sittings, and how it ended."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.devices.names import Detected
from harness.engine.environment import source_digest
from harness.engine.folder import write_run
from harness.engine.journal import utc_now
from harness.engine.protocol import Ready
from harness.engine.sources import Sources
from harness.record import End


class Logbook:
    """Keeps run.json; what it is told is on disk when the call returns. Threads may share it.

    Args:
        folder: The run's.
        document: What run.json says, as `manifest` or an earlier sitting wrote it.
        device: What is measured on, or one of several that are alike.
    """

    def __init__(self, folder: Path, document: dict[str, Any], device: Detected) -> None:
        self._lock = threading.Lock()
        self._folder, self._device = folder, device
        self.document = document
        self.met_device = False
        """Whether a worker has opened the device."""

    @property
    def prunes(self) -> bool:
        """Whether cases beyond one that ran out of memory are left out."""
        return bool(self.document.get("prune", True))

    def sit_down(self, sources: Sources, reused: int, stale: Mapping[str, int]) -> None:
        """Note that the run goes on in another sitting, with so many visits of the earlier ones.

        `stale` counts those that are made again, by the reason.
        """
        sitting = {"started": utc_now(), "harness": source_digest(), "reused": reused, "stale": dict(stale)}
        self._write(
            status="running",
            end=None,
            finished=None,
            noise=None,
            sources=sources.as_dict(),
            sittings=[*self.document.get("sittings", ()), sitting],
        )

    def meet_device(self, ready: Ready) -> None:
        """Note the device's facts, once: they need torch, which only a worker has."""
        with self._lock:
            if self.met_device:
                return
            self.met_device = True
        known = {**self._device._asdict(), "class": self.document["device"].get("class")}
        self._write(device={**ready.device, **known})

    def note_devices(self, devices: Sequence[dict[str, Any]]) -> None:
        """Note which devices the run has had, of several."""
        self._write(devices=list(devices))

    def finish(self, end: End, noise: dict[str, Any] | None) -> None:
        """Note why the run ended, and the noise that it saw."""
        self._write(status=status(end), end=end, finished=utc_now(), noise=noise)

    def _write(self, **changed: Any) -> None:
        with self._lock:
            self.document |= changed
            write_run(self._folder, self.document)


def status(end: End) -> str:
    """Return complete or interrupted."""
    return "complete" if end == "ok" else "interrupted"
