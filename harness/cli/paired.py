"""`harness compare --paired`: both sides measured now, in turns, into two run folders that are then compared."""

from __future__ import annotations

import datetime
import itertools
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.console import fail, note
from harness.cli.ended import ENDED
from harness.cli.exits import Exit
from harness.cli.planning import detect_or_exit, plan_or_exit
from harness.cli.run import ROOT
from harness.cli.suspects import chosen, of_cases
from harness.cli.wanted import Wanted

if TYPE_CHECKING:
    from harness.declare.planned import Plan
    from harness.devices.names import Detected
    from harness.engine.sides import Side, SideName
    from harness.record import End

Runs = tuple[Path, Path]
"""The run folders of base and candidate."""
AGAIN = "again"
"""Folder, in that of a paired run, of its suspects' second measurement."""
AGAIN_ROUNDS = 2
"""Suspects are measured again in so many times the rounds: they are few, and what is doubtful needs a closer look."""
WITH_NOISE = ("latency", "energy")
"""Probes whose numbers are measured again; the check comes with every run."""


@dataclass(frozen=True, slots=True)
class PairedRun:
    """What a paired run was asked to measure, and where it stands."""

    sides: tuple[Side, Side]
    wanted: Wanted
    folder: Path
    resume: bool = False

    @property
    def runs(self) -> Runs:
        """The folders of both sides."""
        return self.folder / "base", self.folder / "candidate"

    def measure(self) -> Runs:
        """Measure both sides and return their folders, or end the command with the sentence that says why not."""
        detected = detect_or_exit(self.wanted.device)
        measure_pair(self.plan(detected), self, detected, self._how_to_go_on)
        return self.runs

    def plan(self, detected: Detected) -> Plan:
        """Return what is to be measured; each side may hold half of the memory."""
        from harness.engine.keeper import memory_limit

        each = (self.wanted.memory or memory_limit()) // 2
        return plan_or_exit(self.wanted.suite, self.wanted.overrides, self.wanted.select, detected, each)

    def again(self, cases: Sequence[str]) -> Runs:
        """Measure these cases once more, in more rounds, and return where."""
        detected = detect_or_exit(self.wanted.device)
        return measure_suspects(self, cases, detected, _unused(self.folder / AGAIN), self._how_to_go_on)

    @property
    def _how_to_go_on(self) -> str:
        return f"go on with the same command and --resume {shlex.quote(str(self.folder))}"


def _unused(folder: Path) -> Path:
    """Return `folder`, or `folder`-2, -3, ... where a second look that was cut short has left it."""
    names = (folder if number == 1 else folder.with_name(f"{folder.name}-{number}") for number in itertools.count(1))
    return next(path for path in names if not path.exists())


def measure_suspects(first: PairedRun, cases: Sequence[str], detected: Detected, folder: Path, advice: str) -> Runs:
    """Measure the cases of these ids on both sides, in more rounds than the suite says, and return the two runs.

    A second look that is cut short begins anew; `advice` says by which command.
    """
    wanted = replace(first.wanted, select=chosen(first.wanted.select, cases))
    folder.mkdir(parents=True, exist_ok=True)
    second = replace(first, wanted=wanted, folder=folder, resume=False)
    what = "1 suspect is" if len(cases) == 1 else f"{len(cases)} suspects are"
    note(f"harness: {what} measured again, side by side, into {folder}")
    plan = _of_suspects(of_cases(first.plan(detected), cases))
    measure_pair(plan, second, detected, f"{advice}: the second look begins anew")
    return second.runs


def measure_pair(plan: Plan, asked: PairedRun, detected: Detected, advice: str) -> None:
    """Measure `plan` on both sides, or end the command with the sentence that says why not.

    `advice` is what to do after Ctrl-C.
    """
    from harness.devices.ceilings import load
    from harness.engine.keeper import WorkerOptions
    from harness.engine.paired import run_paired
    from harness.engine.progress import Console

    note(f"harness: {len(plan.cases)} cases on {detected.name}, on both sides, into {asked.folder}")
    with told():
        results = run_paired(
            plan,
            asked.folder,
            asked.sides,
            device_kind=detected.kind,
            resume=asked.resume,
            progress=Console(),
            ceilings=load(detected.name),
            command=asked.wanted.command(detected.kind),
            worker=WorkerOptions(threads=asked.wanted.threads, memory_bytes=asked.wanted.memory),
        )
    end_if_cut_short(results[0].end, "the paired run", advice)


def end_if_cut_short(end: End, what: str, advice: str) -> None:
    """End the command where something or somebody has cut a run short."""
    if (code := ENDED.get(end)) is not None:
        note(f"harness: {what} was cut short; {advice}")
        raise typer.Exit(int(code))


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides as the user named them."""

    base: str
    candidate: str
    base_python: str | None = None
    candidate_python: str | None = None


def sides_of(named: Sides) -> tuple[Side, Side]:
    """Return the two sides, prepared to be measured."""
    with told():
        base = _side("base", named.base, named.base_python)
        return base, _side("candidate", named.candidate, named.candidate_python)


def _side(name: SideName, said: str, python: str | None) -> Side:
    from harness.engine.checkouts import checkout_of, interpreter_for, repository
    from harness.engine.sides import Side

    def tell(text: str) -> None:
        note(f"harness: {name}: {text}")

    root, prepared = checkout_of(said, tell)
    side = Side(name, said, root)
    if python is not None:
        return replace(side, python=python)
    return replace(side, python=interpreter_for(root, repository(), tell)) if prepared else side


def measured_pair(wanted: Wanted, sides: Sides, output: Path | None, resume: Path | None) -> PairedRun:
    """Prepare both sides and measure the suite on them, or end the command with the sentence that says why not.

    Args:
        wanted: What is to be measured.
        sides: As the user named them.
        output: The folder for both runs, new or empty; None: runs/SUITE-paired-WHEN.
        resume: The folder of a paired run to go on with, instead.
    """
    folder = resume or _folder(output, wanted.suite.name)
    try:
        found = PairedRun(sides_of(sides), wanted, folder, resume is not None)
        found.measure()
    finally:
        with suppress(OSError):
            folder.rmdir()  # an empty one only: that of a run that was refused
    return found


def _folder(output: Path | None, suite: str) -> Path:
    """Return the folder to write to, made before anything is prepared, so that a bad path fails at once."""
    from harness.engine.folder import new_folder

    with told():
        if output is None:
            return new_folder(ROOT, f"{suite}-paired", datetime.datetime.now())
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(Exit.USAGE, f"{output} cannot be a run's folder: {error.strerror}; name another with -o")
        if any(output.iterdir()):
            fail(Exit.USAGE, f"{output} is not empty: name a new folder with -o, or go on with its run by --resume")
    return output


@contextmanager
def told() -> Iterator[None]:
    """End the command with a sentence and its exit code where something of a paired run is refused."""
    from harness.devices.interface import NoSuchDevice
    from harness.engine.journal import RunFolderError, WriteError
    from harness.engine.keeper import WorkerFailed
    from harness.engine.locks import Busy
    from harness.engine.sides import SideError, TooOld

    try:
        yield
    except TooOld as error:
        fail(Exit.NOT_COMPARABLE, str(error))
    except NoSuchDevice as error:
        fail(Exit.NO_DEVICE, str(error))
    except (WriteError, WorkerFailed) as error:
        fail(Exit.FAILED_CASES, str(error))
    except (SideError, RunFolderError, Busy) as error:
        fail(Exit.USAGE, str(error))


def _of_suspects(plan: Plan) -> Plan:
    """Return the plan with the rounds of a second look, and with the probes alone that have noise."""
    from harness.declare.format import MOST_ROUNDS

    measure = plan.suite.measure
    rounds = min(AGAIN_ROUNDS * measure.rounds, MOST_ROUNDS)
    most = None if measure.max_rounds is None else max(measure.max_rounds, rounds)
    probes = [probe for probe in measure.probes if probe in WITH_NOISE]
    second = measure.model_copy(update={"rounds": rounds, "max_rounds": most, "probes": probes})
    return replace(plan, suite=plan.suite.model_copy(update={"measure": second}))
