"""The small form of the fuzzing: sound texts are read, changed ones are read or refused in words, and nothing else."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.declare.faults import SuiteError
from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from tests.fuzz.guard import MOST_S, Guard
from tests.fuzz.mutate import mutate
from tests.fuzz.strategies import suites
from tests.fuzz.targets import TARGETS, Target

TEXTS = {"suite": 150, "set": 150, "select": 200, "journal": 60, "records": 60, "manifest": 60, "policy": 150,
         "compared": 60, "cluster": 150}  # fmt: skip


@pytest.fixture(params=TARGETS)
def guard(request: pytest.FixtureRequest, tmp_path: Path) -> Guard:
    return Guard(TARGETS[request.param], tmp_path / request.param, tmp_path / "defects")


def test_hostile_texts_are_read_or_refused_in_words(guard: Guard) -> None:
    sound = guard.begin()
    for text in sound:
        guard.read(text)
    assert guard.accepted == len(sound), guard.defects

    @settings(max_examples=TEXTS[guard.target.name], deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 1 << 32))
    def read(seed: int) -> None:
        chance = random.Random(seed)
        guard.read(mutate(chance.choice(sound), chance))
        assert not guard.defects

    read()
    assert guard.accepted < guard.inputs


@settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(suites())
def test_a_suite_of_any_shape_is_planned_or_refused(text: str) -> None:
    with suppress(SuiteError):
        cases = plan(parse_suite(text)).cases
        assert len({planned.case.key for planned in cases}) == len(cases) > 0


def test_the_guard_sees_what_it_is_there_for(tmp_path: Path) -> None:
    """A reader that raises, that is slow, that writes elsewhere: each is noted."""

    def hostile(data: bytes, folder: Path) -> int:
        begun = time.process_time()
        if data == b"raise":
            raise KeyError(data)
        if data == b"write":
            (folder.parent / "elsewhere").write_bytes(data)
        if data == b"slow":
            while time.process_time() < begun + 1.1 * MOST_S:
                pass
        return 0

    guard = Guard(Target("hostile", lambda _: [], hostile), tmp_path / "inside", tmp_path / "defects")
    guard.begin()
    for text in (b"fine", b"raise", b"write", b"slow"):
        guard.read(text)
    names = sorted(what.partition(" at ")[0] for what in guard.defects)
    assert names == ["KeyError", "WrittenOutside", "a text that took too long"]
    assert (guard.inputs, guard.accepted) == (4, 2)
    assert not (tmp_path / "elsewhere").exists()
