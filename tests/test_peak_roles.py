"""Whose bytes stand at the peak: closed forms, the allocator, torch's MemTracker, and storages with odd lives."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

import pytest
import torch

from harness.case import Case
from harness.declare.costs import cost
from harness.devices.cpu import CpuDevice
from harness.layers import build
from harness.probes.memory import saved_bytes
from harness.probes.peak_roles import StorageTracker, _Moment, attribute, saving
from harness.probes.subject import Subject, make_subject
from tests.cases import dense, encoder, expert_choice, families, soft, token_choice

SIZE: dict[str, Any] = {"d_model": 64, "d_ff": 256, "tokens": 64, "batch": 4}


def warm(case: Case) -> Subject:
    """A subject that has run once: AdamW makes its state in the first step."""
    subject = make_subject(case, build(case))
    subject.run()
    subject.drop_gradients()
    return subject


def peak_of(subject: Subject) -> int:
    subject.drop_gradients()
    peak = CpuDevice().peak(subject.run).peak_bytes
    subject.drop_gradients()
    return peak


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
@pytest.mark.parametrize("case", families(**SIZE), ids=lambda case: str(case.variant))
def test_in_float32_the_tensors_are_all_that_the_allocator_sees(case: Case, pass_: str) -> None:
    subject = warm(Case.from_dict(case.variant, case.as_dict() | {"pass": pass_}))
    assert attribute(subject).total == peak_of(subject)


def test_the_parts_of_an_ffn_are_its_closed_forms() -> None:
    """Backward of the second product: both hidden tensors, W_2's gradient and b_2's, y, and the hidden gradient."""
    case = dense(pass_="forward_backward", **SIZE)
    T, D, F = 256, 64, 256
    seen = attribute(warm(case))
    assert seen.saved == 4 * 2 * T * F == cost(case).memory_saved
    assert seen.gradients == 4 * (F * D + D)
    assert seen.temporaries == 4 * (T * D + T * F)


def test_a_pass_without_gradients_holds_temporaries_alone() -> None:
    seen = attribute(warm(dense(**SIZE)))
    assert (seen.saved, seen.gradients, seen.temporaries) == (0, 0, 4 * 256 * (256 + 64))


def test_a_transcribed_ffn_holds_and_saves_what_was_measured_elsewhere() -> None:
    """512 rows, 256 to 1024 to 256, float32: peak 4,194,304 without gradients; saved 4,718,592, with x's 524,288."""
    x, up, down = torch.randn(512, 256), torch.randn(256, 1024), torch.randn(1024, 256)
    with torch.no_grad(), StorageTracker() as tracker:
        torch.relu(x @ up) @ down
    assert tracker.peak == 4_194_304
    x, up, down = (tensor.requires_grad_() for tensor in (x, up, down))
    with StorageTracker() as tracker, saving(tracker.number) as saved:
        y = torch.nn.functional.gelu(x @ up) @ down
        held = sum(tracker.live[number] for number in saved)  # while y stands, and with it all that leads to it
    assert y.requires_grad
    assert held == 4_718_592 - x.nbytes


@pytest.mark.parametrize(
    "case",
    [dense(**SIZE), token_choice(**SIZE), expert_choice(**SIZE), soft(**SIZE), encoder(dense())],
    ids=lambda case: str(case.id),
)
def test_torchs_memory_tracker_finds_the_same_peak(case: Case) -> None:
    from torch.distributed._tools.mem_tracker import MemTracker

    subject = warm(Case.from_dict(case.variant, case.as_dict() | {"pass": "forward_backward"}))
    standing = sum(tensor.nbytes for tensor in (*subject.layer.parameters(), subject.x, subject.upstream))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = MemTracker()
        oracle.track_external(subject.layer, subject.x, subject.upstream)
        with oracle:
            subject.run()
    total = oracle.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    subject.drop_gradients()
    tables = sum(tensor.nbytes for tensor in subject.layer.buffers())
    assert attribute(subject).total == total - standing - tables


def test_what_is_saved_is_what_the_hooks_of_saved_bytes_see() -> None:
    """Before the first gradient all that was saved still stands; numbers of storages here, their addresses there."""
    subject = warm(token_choice(pass_="forward_backward", capacity_factor=1.25, **SIZE))
    with StorageTracker() as tracker, saving(tracker.number) as saved:
        y = subject.forward(subject.x)
        held = sum(tracker.live[number] for number in saved)
    del y
    assert held == saved_bytes(subject)


@pytest.mark.parametrize(
    ("case", "moment"),
    [
        (token_choice(**SIZE), "experts"),
        (token_choice(**SIZE | {"d_model": 8, "d_ff": 8, "experts": 64}), "router"),
        (soft(**SIZE), "combine"),  # few slots: the output is the largest tensor
        (soft(slots=64, **SIZE), "experts"),
        (dense(**SIZE), "experts"),
        (dense(pass_="forward_backward", **SIZE), "backward"),
        (encoder(dense(d_ff=4)), "other"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.id,
)
def test_the_moment_of_the_peak_is_told(case: Case, moment: str) -> None:
    assert attribute(warm(case)).moment == moment


def test_a_step_is_told_from_a_forward_pass_also_where_the_backward_pass_was_no_peak() -> None:
    w = torch.ones(2**16, requires_grad=True)
    clock = _Moment()
    with StorageTracker(clock.now) as tracker:
        large = torch.empty(2**20)
        del large
        assert tracker.moment == "other"
        torch.autograd.backward(w.sum())
        assert tracker.moment == "other"
        torch.empty(2**21)
    assert tracker.moment == "step"


def test_the_optimizers_step_is_a_moment_of_its_own() -> None:
    """Planted: an optimizer that takes more for its step than the whole pass before it."""

    class Wasteful(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            torch.empty(2**22)
            return super().step(closure)

    subject = warm(dense(pass_="train", **SIZE))
    subject.optimizer = Wasteful(subject.layer.parameters(), lr=0.0)
    assert attribute(subject).moment == "step"


def test_a_view_is_no_second_storage_and_a_freed_one_is_gone() -> None:
    with StorageTracker() as tracker:
        a = torch.ones(256)
        b = a.view(16, 16).t()
        assert tracker.held == 1024
        del a
        assert tracker.held == 1024
        del b
        assert tracker.held == 0
    assert tracker.peak == 1024


def test_what_stood_before_is_not_counted_but_what_grows_is() -> None:
    before = torch.ones(1024)
    with StorageTracker() as tracker:
        view = before[:16]
        view.add_(1)
        assert tracker.held == 0
        grown = torch.empty(4)
        grown.resize_(100)
        assert tracker.held == 400


def test_a_tracker_leaves_nothing_on_the_weights_that_it_saw() -> None:
    weight = torch.ones(8)
    with StorageTracker() as tracker:
        weight.view(2, 4)
    gone = weakref.ref(tracker)
    del tracker
    gc.collect()
    assert gone() is None
