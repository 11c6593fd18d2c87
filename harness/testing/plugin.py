"""What pytest loads at every start, so it imports pytest and nothing of weight: options, and which files are suites.

A suite is collected where it is named on the command line, or matches the ini option `harness_suites`; a folder's TOML
files are somebody else's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.testing.clock import RoundClock

if TYPE_CHECKING:
    from harness.testing.session import Harness

NEEDS_BENCHMARK = (
    "suites and the fixture `subject` are timed by pytest-benchmark, which is not loaded: "
    'pip install "moe-harness[pytest]"'
)
CLOCK = pytest.StashKey[RoundClock]()
HARNESS = pytest.StashKey["Harness"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that narrow and place what is measured."""
    group = parser.getgroup("moe-harness", "MoE layers (moe-harness)")
    group.addoption(
        "--harness-device", metavar="auto|cpu|cuda", default="auto", help="Where suites and subjects are measured."
    )
    group.addoption(
        "--harness-set", metavar="AXIS=VALUE", action="append", default=[], help="Override an axis of a suite."
    )
    group.addoption(
        "--harness-select", metavar="EXPR", help='Keep the cases of a suite for which EXPR holds: "batch == 1".'
    )
    parser.addini("harness_suites", "Suites that are collected with their folders: paths or patterns.", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Give the session its clock, and the fixture `subject` in the form that fits."""
    config.stash[CLOCK] = RoundClock()
    if _names_suites(config):  # before what is stored is compared with what this process has
        from harness.testing.told import take_conditions

        take_conditions()
    config.pluginmanager.import_plugin("harness.testing." + ("fixture" if can_time(config) else "fixture_missing"))


def can_time(config: pytest.Config) -> bool:
    """Return whether pytest-benchmark is loaded, under whatever name."""
    return hasattr(config.option, "benchmark_disable")


def harness_of(config: pytest.Config) -> Harness:
    """Return what this session measures with, made when it is first asked for."""
    if HARNESS not in config.stash:
        from harness.testing.session import Harness

        config.stash[HARNESS] = Harness(config, config.stash[CLOCK])
    return config.stash[HARNESS]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a TOML file that was asked for."""
    if file_path.suffix != ".toml" or not (
        parent.session.isinitpath(file_path) or _is_listed(file_path, parent.config)
    ):
        return None
    from harness.testing.suite_file import SuiteFile

    file: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
    return file


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let pytest-benchmark read our clock in every test that has a subject, beside what the test's own mark says."""
    if "harness_clock" in getattr(item, "fixturenames", ()):
        own = item.get_closest_marker("benchmark")
        options = {} if own is None else dict(own.kwargs)
        item.add_marker(pytest.mark.benchmark(**options | {"timer": item.config.stash[CLOCK]}), append=False)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Say on what device and software, where the session is about suites; others' files stay as they are.

    It is asked before anything is collected as well, to be compared with a stored file: so the command line decides.
    """
    if _names_suites(config):
        from harness.testing.told import machine

        machine_info["moe_harness"] = machine(config.getoption("harness_device"))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_commit_info(config: pytest.Config, commit_info: dict[str, Any]) -> None:
    """Say by which harness."""
    if HARNESS in config.stash:
        from harness.engine.environment import harness_identity

        commit_info["moe_harness"] = harness_identity()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the device's facts, the whole environment, and the cases without numbers."""
    if HARNESS in config.stash:
        output_json["moe_harness"] = config.stash[HARNESS].document()


def _is_listed(path: Path, config: pytest.Config) -> bool:
    patterns: list[str] = config.getini("harness_suites")
    return path.is_relative_to(config.rootpath) and any(path.relative_to(config.rootpath).match(p) for p in patterns)


def _names_suites(config: pytest.Config) -> bool:
    named = any(str(argument).partition("::")[0].endswith(".toml") for argument in config.args)
    return named or bool(config.getini("harness_suites"))
