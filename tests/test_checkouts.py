"""Checkouts: folders and revisions that are sides, and which interpreter a revision gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.engine import checkouts
from harness.engine.checkouts import READY, checkout_of, interpreter_for, repository, requirements, worktree
from harness.engine.sides import WORKER, SideError
from tests.checkouts import commit, git

PROJECT = """
[project]
name = "a-checkout"
version = "1"
requires-python = ">=3.11"
dependencies = ["numpy>=2.0", "typing_extensions"]
"""


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a repository, in which one stands, of a checkout with two revisions."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "repo"
    (root / WORKER).parent.mkdir(parents=True)
    for text in ("first", "second"):
        (root / WORKER).write_text(text)
        (root / "pyproject.toml").write_text(PROJECT)
        commit(root, text)
    monkeypatch.chdir(root)
    return root


def test_a_folder_stands_before_a_revision(repo: Path) -> None:
    assert checkout_of(".", print) == (repo.resolve(), False)
    git(repo, "branch", "harness")  # there is a folder of that name
    with pytest.raises(SideError, match="harness holds no harness"):
        checkout_of("harness", print)


def test_a_revision_is_checked_out_once_and_found_again(repo: Path) -> None:
    told: list[str] = []
    root, prepared = checkout_of("HEAD~1", told.append)
    assert (prepared, (root / WORKER).read_text()) == (True, "first")
    assert checkout_of("HEAD~1", told.append) == (root, True)
    assert len(told) == 1
    assert (repo / WORKER).read_text() == "second"
    assert git(repo, "status", "--porcelain") == ""


def test_a_worktree_that_was_changed_or_broken_is_made_anew(repo: Path) -> None:
    root, _ = checkout_of("HEAD~1", print)
    (root / WORKER).write_text("changed")
    assert (checkout_of("HEAD~1", print)[0] / WORKER).read_text() == "first"
    (root / ".git").unlink()
    assert (checkout_of("HEAD~1", print)[0] / WORKER).read_text() == "first"


def test_of_many_worktrees_the_last_used_stay(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkouts, "KEPT", 1)
    older, _ = checkout_of("HEAD~1", print)
    os.utime(older, (0, 0))
    newer, _ = checkout_of("HEAD", print)
    assert (older.exists(), newer.exists()) == (False, True)


@pytest.mark.parametrize("said", ["nowhere", "--all", "HEAD~9", ""])
def test_what_is_neither_is_told(repo: Path, said: str) -> None:
    with pytest.raises(SideError, match=r"neither a folder nor a revision of .*repo"):
        checkout_of(said, print)


def test_outside_a_repository_there_are_no_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SideError, match=r"HEAD is no folder, and .* lies in no git repository"):
        checkout_of("HEAD", print)


def test_without_git_there_are_no_revisions(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert repository() is None


def test_what_git_refuses_is_told(repo: Path) -> None:
    with pytest.raises(SideError, match="cannot be checked out into"):
        worktree(repo, "0" * 40, print)


def test_requirements_are_those_of_the_packages_that_it_asks_for(repo: Path) -> None:
    before = requirements(repo)
    constraints = repo / "constraints.txt"
    constraints.write_text("# what it was tested with\nruff==0.14\n")
    assert requirements(repo) == before  # not one of its own packages
    constraints.write_text("Typing-Extensions==4.15\n")
    assert requirements(repo) != before
    constraints.unlink()
    (repo / "pyproject.toml").write_text(PROJECT.replace("numpy>=2.0", "numpy>=2.1"))
    assert requirements(repo) != before


def test_the_same_packages_are_run_by_this_interpreter(repo: Path) -> None:
    told: list[str] = []
    root, _ = checkout_of("HEAD~1", told.append)
    assert interpreter_for(root, repo, told.append) == sys.executable
    assert "asks for the same packages" in told[-1]


def test_other_packages_get_an_environment_that_is_kept(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is built in truth; its one package is the checkout, which asks for none."""
    (repo / "pyproject.toml").write_text(PROJECT.replace('"numpy>=2.0", "typing_extensions"', ""))
    root, _ = checkout_of(commit(repo, "lighter"), print)
    installed: list[list[str]] = []
    run = checkouts._run

    def without_network(command: list[str]) -> object:
        installed.append(command)
        return run([*command[:3], "--version"] if command[1:3] == ["-m", "pip"] else command)

    monkeypatch.setattr(checkouts, "_run", without_network)
    (repo / "pyproject.toml").write_text(PROJECT)
    python = interpreter_for(root, repo, print)
    assert Path(python).is_file()
    assert (Path(python).parents[1] / READY).exists()
    count = len(installed)
    assert installed[-1][-1] == str(root)
    assert interpreter_for(root, repo, print) == python
    assert len(installed) == count


def test_an_environment_that_cannot_be_built_is_told(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = checkout_of("HEAD~1", print)
    (repo / "pyproject.toml").write_text(PROJECT.replace("2.0", "2.1"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SideError, match=r"no environment can be built for .*--base-python"):
        interpreter_for(root, repo, print)
