"""Watches over one hostile text at a time: what it raises, how long it takes, and where anything is written."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.targets import OWN_ERRORS, Target

MOST_S = 1.0
"""Processor time that any text may take."""
CASE_S = 1e-4
"""What each case of a suite that spans many may take beside that: a million of them take a while by right."""
CHANGES = ("os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod")
"""Audit events of calls that change a file system; their first arguments are paths."""
NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "pickle.find_class")


class WrittenOutside(BaseException):
    """A text made the harness write outside the run folder, or start something; no handler of its own sees this."""


@dataclass(slots=True)
class Guard:
    """Reads texts and notes what they do."""

    target: Target
    folder: Path
    """The only place where anything may be written."""
    kept: Path
    """Where the first text of each defect is kept."""
    inputs: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    defects: Counter[str] = field(default_factory=Counter)
    """By what a text did that it must not: how many texts did."""
    watching: bool = False

    def begin(self) -> list[bytes]:
        """Prepare the folder and return sound texts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        texts = list(self.target.begin(self.folder))
        sys.addaudithook(self._audit)
        return texts

    def read(self, data: bytes) -> None:
        """Read one text, and note a defect if there is one, with the first text that showed it."""
        self.inputs += 1
        start, cases, error = time.process_time(), 0, None
        self.watching = True
        try:
            cases = self.target.read(data, self.folder)
        except (Exception, WrittenOutside) as caught:
            error = caught
        self.watching = False
        took = time.process_time() - start
        self.slowest_s = max(self.slowest_s, took)
        self.accepted += error is None
        if error is not None and not (isinstance(error, OWN_ERRORS) and str(error).strip()):
            self._note(data, _place(error), error)
        if took > MOST_S + cases * CASE_S:
            self._note(data, "a text that took too long", f"{took:.1f} s for {cases} cases")

    def result(self) -> dict[str, Any]:
        """Return what came of all texts."""
        counts = {"inputs": self.inputs, "accepted": self.accepted, "slowest_s": self.slowest_s}
        return {"target": self.target.name, **counts, "defects": dict(self.defects)}

    def _note(self, data: bytes, what: str, detail: object) -> None:
        self.defects[what] += 1
        if self.defects[what] == 1:
            self.kept.mkdir(parents=True, exist_ok=True)
            path = self.kept / f"{self.target.name}-{len(self.defects)}"
            path.write_bytes(data)
            print(f"{self.target.name}: {what}: {str(detail)[:200]}\n  the text is in {path}", file=sys.stderr)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        if event in NEVER:
            raise WrittenOutside(f"{event} {arguments}")
        if event == "open" and _writes(arguments):
            self._must_be_inside(arguments[0])
        if event in CHANGES:
            for path in arguments[:2] if event in ("os.rename", "os.link", "os.symlink") else arguments[:1]:
                self._must_be_inside(path)

    def _must_be_inside(self, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            real = Path(os.path.realpath(os.fsdecode(path)))
            if not real.is_relative_to(self.folder.resolve()):
                raise WrittenOutside(f"wrote to {real}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _place(error: BaseException) -> str:
    """Return the error's name and where it was raised, the same for all texts that meet the same defect."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" not in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else "the target"
    ours = [frame for frame in frames if "/harness/" in frame.filename or "/reports/" in frame.filename]
    via = f" by way of {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__} at {where}{via}"
