"""Baselines of record: runs that were accepted under a name. Never "yesterday", by which a slow creep passes unseen."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.engine.folder import RUN, TRACES, read_document
from harness.engine.journal import RunFolderError
from harness.engine.locks import FOLDER_LOCKS

VARIABLE = "HARNESS_BASELINES"
"""The environment variable that names the folder of baselines."""
FOLDER = Path("baselines")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class BaselineError(Exception):
    """A baseline cannot be had or kept; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What tonight's run is held to."""

    name: str
    folder: Path | None
    """Its run folder; None where nothing was kept under that name yet."""


def root(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the baselines: $HARNESS_BASELINES, else `baselines` here."""
    return Path(variables.get(VARIABLE) or FOLDER)


def find(named: str, suite: str) -> Baseline:
    """Return the baseline that `--baseline` names: a name under the folder of baselines, or a run's folder.

    Raises:
        BaselineError: A folder was named that is no run, or what stands under the name is none, or none of `suite`.
    """
    path = Path(named)
    folder = root() / named if NAME.fullmatch(named) and not path.is_dir() else path
    if NAME.fullmatch(named) and not folder.exists():
        return Baseline(named, None)
    try:
        of = read_document(folder)["suite"]["name"]
    except RunFolderError as error:
        raise BaselineError(f"the baseline {named} cannot be read: {error}") from None
    if of != suite:
        raise BaselineError(
            f"the baseline {named} is a run of another suite, {of}, and tonight measures {suite}: "
            "name one of its own by --baseline"
        )
    return Baseline(named, folder)


def kept() -> list[str]:
    """Return the names of the baselines that there are."""
    return sorted(path.parent.name for path in root().glob(f"*/{RUN}") if NAME.fullmatch(path.parent.name))


def check_name(name: str, *, replace: bool) -> None:
    """Raise BaselineError where no run may be kept under `name`: found before anything is measured."""
    if not NAME.fullmatch(name):
        raise BaselineError(f"{name!r} is no name for a baseline: letters, digits, dots, dashes and underscores")
    if (root() / name).exists() and not replace:
        raise BaselineError(
            f"there is a baseline {name} already ({root() / name}); --replace puts this run in its place"
        )


def keep(run: Path, name: str, *, replace: bool) -> Path:
    """Copy the run folder `run` to where baselines are, under `name`, and return the copy; whole or not at all.

    Traces are left out, as they are large and nothing is compared by them.

    Raises:
        BaselineError: The run did not come to its end, or the name is taken and `replace` is not asked for.
    """
    check_name(name, replace=replace)
    _check_complete(run)
    target = root() / name
    part, old = (target.with_name(f".{name}.{os.getpid()}.{word}") for word in ("part", "old"))
    try:
        root().mkdir(parents=True, exist_ok=True)
        shutil.copytree(run, part, ignore=shutil.ignore_patterns(TRACES, *FOLDER_LOCKS))
        if target.exists():
            target.rename(old)
        part.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise BaselineError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return target


def _check_complete(run: Path) -> None:
    try:
        status = read_document(run)["status"]
    except RunFolderError as error:
        raise BaselineError(f"this run cannot be a baseline: {error}") from None
    if status != "complete":
        raise BaselineError(f"this run cannot be a baseline: it is {status}, and a baseline has all of its cases")
