"""Suites, policies and clusters that come with the harness: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def suite_folder() -> Path:
    """Return the folder of the shipped suites: `harness/suites` of a wheel, else the checkout's `suites`."""
    installed = _PACKAGE / "suites"
    return installed if installed.is_dir() else _PACKAGE.parent / "suites"


def shipped_suites() -> dict[str, Path]:
    """Return the shipped suites' files by name, in alphabetical order."""
    return {path.stem: path for path in sorted(suite_folder().glob("*.toml"))}


def is_shipped(suite: Path) -> bool:
    """Return whether the file `suite` is one of the shipped suites, and not a copy of one."""
    return suite.resolve().parent == suite_folder().resolve()


def shipped_policies() -> dict[str, Path]:
    """Return the shipped policies' files by name, in alphabetical order."""
    return {path.stem: path for path in sorted((suite_folder() / "policies").glob("*.toml"))}


def shipped_clusters() -> dict[str, Path]:
    """Return the shipped clusters' files by name, in alphabetical order."""
    return {path.stem: path for path in sorted((suite_folder() / "clusters").glob("*.toml"))}
