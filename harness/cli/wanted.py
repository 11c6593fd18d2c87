"""What a run was asked to measure: said on the command line, or kept by the run that it goes on with."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from harness.cli.console import fail
from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.declare.format import Suite

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run was asked to measure."""

    suite: Suite
    reference: str
    """The suite as the user named it."""
    overrides: list[str]
    select: str | None
    device: str
    threads: int = 0
    memory: int | None = None
    """Bytes of host memory that a worker may hold; None: the usual share."""
    prune: bool = True
    trace: bool = False
    devices: str | None = None
    """How many devices to spread over, or `all`; None: one, or with `ray` all."""
    ray: str | None = None
    """The Ray cluster to spread over."""
    classes: tuple[str, ...] = ()
    """Patterns of the device class; none: what the suite says."""

    def command(self, kind: str) -> str:
        """Return the command line that measures the same again."""
        words = ["harness", "run", self.reference, "--device", kind]
        words += [word for override in self.overrides for word in ("--set", override)]
        words += ["--select", self.select] if self.select else []
        words += ["--threads", str(self.threads)] if self.threads else []
        words += ["--memory", f"{self.memory >> 20}M"] if self.memory else []
        words += [] if self.prune else ["--no-prune"]
        words += ["--trace"] if self.trace else []
        words += ["--devices", self.devices] if self.devices else []
        words += ["--ray", self.ray] if self.ray else []
        words += [word for pattern in self.classes for word in ("--device-class", pattern)]
        return shlex.join(words)


def begun(folder: Path, *, given: bool) -> Wanted:
    """Return what the run in `folder` was asked for: a resumed run is the run that it was."""
    from harness.declare.suite import SuiteError, parse_suite
    from harness.engine.folder import read_document
    from harness.engine.journal import RunFolderError

    if given:
        options = "SUITE, -o, --set, --select, --device, --threads, --memory, --no-prune and --trace"
        fail(Exit.USAGE, f"--resume goes on with a run as it was begun: leave out {options}")
    try:
        document = read_document(folder)
        stored = document["suite"]
        suite = parse_suite(stored["source"], stored.get("file") or f"{stored['name']}.toml")
    except (RunFolderError, SuiteError) as error:
        fail(Exit.USAGE, str(error))
    kind, threads = document["device"]["kind"], document.get("threads", 0)
    memory, prune, trace = document.get("memory_limit"), document.get("prune", True), document.get("trace", False)
    spread, own = document.get("spread") or {}, document["device"].get("class")
    return Wanted(
        suite,
        suite.name,
        stored["overrides"],
        stored["select"],
        kind,
        threads,
        memory,
        prune,
        trace,
        spread.get("devices"),
        spread.get("ray"),
        () if own is None else (glob.escape(own),),
    )


def given(context: typer.Context, *, but: Collection[str]) -> bool:
    """Return whether an argument or option other than these stands on the command line."""
    sources = (context.get_parameter_source(name) for name in context.params if name not in but)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def amount(option: str, text: str | None, read: Callable[[str], T]) -> T | None:
    """Return what `read` makes of an option's text, or end the command with what was expected; None stays None."""
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        fail(Exit.USAGE, f"{option} {text}: {error}")
