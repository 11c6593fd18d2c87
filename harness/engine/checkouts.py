"""Checkouts: the code of a git revision, in a worktree in the user's cache folder, and an environment to run it in.

A worktree is kept by its commit, so that the next comparison with it finds it. An environment of its own is built only
where the revision asks for other packages than the checkout one stands in: it costs minutes and gigabytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from harness.engine.sides import SideError, check_root

KEPT = 8
"""Worktrees that are kept; of more, those that were used longest ago are removed."""
READY = "harness-ready"
"""Stands in an environment once all packages are there."""

Tell = Callable[[str], None]
"""Is told, in a sentence, what is prepared."""


def checkout_of(said: str, tell: Tell) -> tuple[Path, bool]:
    """Return the root of the checkout that is meant, and whether it was prepared here for a git revision.

    A folder of that name stands before a revision.

    Raises:
        SideError: It is neither, or holds no harness, or git cannot check it out.
    """
    if said and Path(said).is_dir():
        return check_root(Path(said), said), False
    here = repository()
    if here is None:
        raise SideError(f"{said} is no folder, and {Path.cwd()} lies in no git repository in which it could be a "
                        "revision: name a checkout's folder, or call this inside the repository")  # fmt: skip
    commit = _git(here, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{said}^{{commit}}")
    if commit is None:
        raise SideError(f"{said} is neither a folder nor a revision of {here}; `git log --oneline --all` lists them")
    return check_root(worktree(here, commit, tell), said), True


def repository(folder: Path | None = None) -> Path | None:
    """Return the root of the git repository that `folder` (None: the working folder) lies in; None where in none."""
    top = _git(folder or Path.cwd(), "rev-parse", "--show-toplevel")
    return None if top is None else Path(top)


def worktree(repository: Path, commit: str, tell: Tell) -> Path:
    """Return a folder with the files of `commit`: one kept from earlier, or a new worktree.

    Raises:
        SideError: git cannot make it.
    """
    folder = _cache("worktrees") / commit[:16]
    with FileLock(folder.with_suffix(".lock")):
        if _git(folder, "rev-parse", "HEAD") != commit or _git(folder, "status", "--porcelain") != "":
            tell(f"{commit[:9]} is checked out into {folder}")
            _remove(repository, folder)
            done = _run(["git", "-C", str(repository), "worktree", "add", "--detach", str(folder), commit])
            if done.returncode:
                raise SideError(f"{commit[:9]} cannot be checked out into {folder}: {_last(done.stderr)}")
        folder.touch()
        _tidy(repository, folder.parent)
    return folder


def interpreter_for(root: Path, here: Path | None, tell: Tell) -> str:
    """Return the interpreter for a revision's checkout: this one, or that of an environment with its own packages.

    `here` is the checkout whose packages this interpreter has; None: none, and this interpreter is taken.

    Raises:
        SideError: The environment cannot be built.
    """
    if here is None or requirements(root) == requirements(here):
        tell(f"{root.name} asks for the same packages as {here or 'this environment'}: this interpreter runs it")
        return sys.executable
    folder = _cache("environments") / requirements(root)
    python = folder / "bin" / "python"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / READY).exists():
            tell(f"{root.name} asks for other packages: they are installed into {folder}")
            _install(root, folder, python)
    return str(python)


def requirements(root: Path) -> str:
    """Return 16 hex digits over the Python and the packages that a checkout asks for, and the versions it holds."""
    project: dict[str, Any] = {}
    if (file := root / "pyproject.toml").exists():
        project = tomllib.loads(file.read_text("utf-8")).get("project", {})
    packages = sorted(project.get("dependencies", []))
    names = {_name(package) for package in packages}
    constraints = root / "constraints.txt"
    lines = constraints.read_text("utf-8").splitlines() if constraints.exists() else []
    held = sorted(line.strip() for line in lines if _name(line) in names)
    asked = json.dumps([project.get("requires-python"), packages, held])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _name(requirement: str) -> str:
    """Return the name that a requirement begins with, as package indexes write it; empty for a comment."""
    found = re.match(r"\s*([A-Za-z0-9._-]+)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _install(root: Path, folder: Path, python: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    constraints = root / "constraints.txt"
    held = ["--constraint", str(constraints)] if constraints.exists() else []
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *held, str(root)],
    ):
        done = _run(command)
        if done.returncode:
            raise SideError(
                f"no environment can be built for {root.name} ({_last(done.stderr or done.stdout)}); build one by hand "
                "and name its interpreter by --base-python or --candidate-python"
            )
    (folder / READY).touch()


def _tidy(repository: Path, folder: Path) -> None:
    """Remove the worktrees beyond KEPT that were used longest ago."""
    found = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime)
    for path in found[KEPT:]:
        _remove(repository, path)


def _remove(repository: Path, folder: Path) -> None:
    _git(repository, "worktree", "remove", "--force", str(folder))
    shutil.rmtree(folder, ignore_errors=True)  # one of another repository, or one that git has forgotten
    _git(repository, "worktree", "prune")


def _cache(name: str) -> Path:
    folder = user_cache_path("moe-harness") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SideError(
            f"{folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder of yours"
        ) from None
    return folder


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it fails, or is not there."""
    try:
        done = _run(["git", "-C", str(folder), *arguments])
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
