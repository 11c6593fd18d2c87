"""Streams and graphs on a real GPU: what no event times is caught, and a capture that fails harms nobody."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.devices import Device
from harness.layers import build
from harness.probes import PROBES, Outcome, Settings, Subject, make_subject
from tests.cases import dense, token_choice

pytestmark = pytest.mark.cuda

SIZE = {"d_model": 256, "d_ff": 512, "batch": 4, "tokens": 128, "dtype": "bfloat16"}
SETTINGS = Settings(seconds_per_visit=0.02, min_samples=5)
CYCLES = 2_000_000
"""About a millisecond: longer than the layer itself."""


def subject_of(case: Case) -> Subject:
    return make_subject(case, build(case, device="cuda"))


def latency(subject: Subject, gpu: Device) -> Outcome:
    return PROBES["latency"].measure(subject, gpu, SETTINGS)


def with_side_stream(subject: Subject, *, waits: bool) -> Subject:
    """Return the subject with work on another stream in each pass, for which its own stream waits or does not."""
    sound, side = subject.layer.forward, torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def forward(x: Tensor) -> Tensor:
        y: Tensor = sound(x)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            torch.cuda._sleep(CYCLES)  # type: ignore[no-untyped-call]
        if waits:
            torch.cuda.current_stream().wait_stream(side)
        return y

    subject.layer.forward = forward  # type: ignore[method-assign]
    return subject


def test_work_that_is_left_on_a_side_stream_is_incorrect(gpu: Device) -> None:
    outcome = latency(with_side_stream(subject_of(dense(**SIZE)), waits=False), gpu)
    assert "work on another stream was not timed" in str(outcome.incorrect)


def test_a_side_stream_that_is_waited_for_is_timed(gpu: Device) -> None:
    plain, longer = subject_of(dense(**SIZE)), with_side_stream(subject_of(dense(**SIZE)), waits=True)
    times = [latency(subject, gpu).values["latency_ms"] for subject in (plain, longer)]
    assert all(isinstance(samples, list) for samples in times)
    assert min(times[1]) > 2 * max(times[0])  # type: ignore[arg-type, operator]


def test_a_dense_layer_is_captured_and_no_slower_as_a_graph(gpu: Device) -> None:
    values = latency(subject_of(dense(**SIZE)), gpu).values
    assert values["graph_capturable"] == "yes"
    graph, hot = values["latency_graph_ms"], values["latency_hot_ms"]
    assert isinstance(graph, list)
    assert isinstance(hot, list)
    assert min(graph) <= 1.02 * min(hot)


def test_a_layer_that_waits_for_the_host_is_not_captured_and_the_next_one_is_timed(gpu: Device) -> None:
    outcome = latency(subject_of(token_choice(backend="loop", **SIZE)), gpu)
    assert outcome.values["graph_capturable"] == "no"
    assert [note for note in outcome.notes if note.startswith("no CUDA graph can be captured: ")]
    assert outcome.values["latency_ms"], "the eager times were thrown away"
    if outcome.spent is None:  # else the worker would be replaced here
        assert latency(subject_of(dense(**SIZE)), gpu).incorrect is None
