"""Assignments as they are drawn and followed: their loads, gradients, the check, compiled layers, and shared ones."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.declare.plan import plan
from harness.declare.replays import AssignmentError, read_stored
from harness.declare.suite import parse_suite
from harness.devices import open_device
from harness.devices.cpu import CpuDevice
from harness.engine.protocol import Request
from harness.engine.shelf import Shelf
from harness.engine.sweep import own_folders
from harness.engine.worker import Worker
from harness.layers import build, routing
from harness.layers.interface import replaying
from harness.probes import PROBES, Outcome, Settings, make_subject
from harness.probes.assignment import Choice, assignments, draw
from harness.probes.subject import Subject
from tests.cases import block, decoder, dense, stack, token_choice
from tests.test_assignments import SUITE

DEVICE = open_device("cpu")
DRAWN = ("balanced", "iid", "zipf:1.2", "hot", "hot:0.25", "hot:1")
WAYS = [
    *({"backend": backend} for backend in ("reference", "loop", "batched", "grouped")),
    *({"backend": backend, "capacity_factor": 1.0} for backend in ("reference", "onehot", "grouped")),
    {"capacity_factor": 1.0, "drop": "priority", "group": "sequence"},
    {"gate": "sigmoid"},
]


def subject_of(case: Case, seed: int = 0) -> Subject:
    return make_subject(case, build(case, seed=seed), seed=seed)


def run(probe: str, subject: Subject) -> Outcome:
    return PROBES[probe].measure(subject, DEVICE, Settings())


def drawn(routing: str, **axes: int) -> Choice:
    return draw(token_choice(routing=routing, **axes), np.random.default_rng(0))


def loads(choice: Choice, experts: int) -> list[int]:
    counts: list[int] = np.bincount(choice.ravel(), minlength=experts).tolist()
    return counts


@pytest.mark.parametrize("routing", DRAWN)
@pytest.mark.parametrize(("experts", "top_k"), [(1, 1), (4, 4), (7, 3), (16, 2)])
def test_every_token_has_k_distinct_experts(routing: str, experts: int, top_k: int) -> None:
    choice = drawn(routing, experts=experts, top_k=top_k)
    assert choice.shape == (32, top_k)
    assert choice.min() >= 0
    assert choice.max() < experts
    assert all(len(set(row)) == top_k for row in choice.tolist())


@pytest.mark.parametrize(("experts", "top_k", "tokens"), [(8, 2, 16), (7, 3, 5), (6, 4, 9), (32, 1, 3)])
def test_balanced_is_even_in_the_batch_and_in_each_sequence(experts: int, top_k: int, tokens: int) -> None:
    choice = drawn("balanced", experts=experts, top_k=top_k, batch=4, tokens=tokens)
    for rows in (choice, *choice.reshape(4, tokens, top_k)):
        assert np.ptp(loads(rows, experts)) <= 1


def test_balanced_makes_no_expert_a_first_choice_only() -> None:
    first = drawn("balanced", experts=4, top_k=2, batch=8)[:, 0]
    assert min(loads(first, 4)) > 16  # of 128 first choices; in turn and unmixed, two experts would have none


def test_iid_loads_are_binomial() -> None:
    experts, tokens = 8, 4096
    found = np.array(loads(drawn("iid", experts=experts, top_k=2, batch=1, tokens=tokens), experts))
    sigma = np.sqrt(tokens * 0.25 * 0.75)
    assert np.abs(found - tokens / 4).max() < 4 * sigma


def test_zipf_first_choices_follow_the_power_of_the_rank() -> None:
    choice = drawn("zipf:1.2", experts=8, top_k=2, batch=1, tokens=20_000)
    share = np.sort(np.bincount(choice[:, 0], minlength=8))[::-1] / len(choice)
    weights = np.arange(1, 9) ** -1.2
    expected = weights / weights.sum()
    assert np.abs(share - expected).max() < 4 * np.sqrt(0.25 / len(choice))
    steeper = drawn("zipf:2", experts=8, top_k=2, batch=1, tokens=20_000)
    assert max(loads(steeper, 8)) > max(loads(choice, 8))


@pytest.mark.parametrize(("routing", "share"), [("hot", 0.5), ("hot:0.25", 0.25), ("hot:1", 1.0)])
def test_hot_says_what_share_of_the_tokens_goes_to_one_expert(routing: str, share: float) -> None:
    choice = drawn(routing, experts=16, top_k=2, batch=8)
    counts = loads(choice, 16)
    hottest = int(np.argmax(counts))
    assert counts[hottest] == round(share * 128)
    assert (choice[:, 0] == hottest).sum() == counts[hottest]  # as a first choice: it is served first


def test_a_draw_depends_on_the_seed_alone() -> None:
    for load in DRAWN[:4]:
        case = token_choice(routing=load)
        first, again, other = (assignments(case, torch.device("cpu"), seed)[0] for seed in (0, 0, 1))
        assert first is not None
        assert again is not None
        assert other is not None
        assert torch.equal(first.choice, again.choice)
        assert not torch.equal(first.choice, other.choice)


@pytest.mark.parametrize("routing", DRAWN)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_check_holds_on_every_backend(routing: str, way: dict[str, object]) -> None:
    subject = subject_of(token_choice(routing=routing, pass_="forward_backward", **way))
    assert run("check", subject).incorrect is None


@pytest.mark.parametrize("backend", ["loop", "batched", "grouped"])
def test_output_and_gradients_are_those_of_the_reference_by_the_same_assignment(backend: str) -> None:
    case = token_choice(routing="zipf:1.2", pass_="forward_backward", dtype="float64")
    ours, plain = (subject_of(replace(case, backend=name)) for name in (backend, "reference"))
    torch.testing.assert_close(ours.run(), plain.run(), rtol=1e-9, atol=1e-12)
    for name, weight in ours.layer.named_parameters():
        expected = plain.layer.get_parameter(name).grad
        assert expected is not None
        assert expected.any(), name  # the router's too: its gates are those of the experts that were assigned
        torch.testing.assert_close(weight.grad, expected, rtol=1e-9, atol=1e-12, msg=name)
    torch.testing.assert_close(ours.x.grad, plain.x.grad, rtol=1e-9, atol=1e-12)


def test_gates_are_those_that_the_router_gives_to_the_assigned_experts() -> None:
    subject = subject_of(token_choice(routing="balanced", dtype="float64", top_k=1))
    tokens, assigned = subject.x.flatten(0, 1), subject.assigned[0]
    assert assigned is not None
    free = subject_of(replace(subject.case, routing="learned"))
    with replaying(free.layer, assigned.choice):
        assert torch.equal(free.run(), subject.run())
    scores = (tokens @ subject.layer.get_parameter("router")).softmax(-1)
    assert not torch.equal(scores.argmax(-1)[:, None], assigned.choice)


def test_a_layer_that_strays_from_its_assignment_is_incorrect() -> None:
    subject = subject_of(token_choice(routing="balanced"))
    assigned = subject.assigned[0]
    assert assigned is not None
    subject.layer.replay = assigned.choice.roll(1, dims=0)
    fault = run("check", subject).incorrect
    assert fault is not None
    assert "do not go to the experts that the routing assigns" in fault


def test_a_learned_case_still_owes_the_best_choice() -> None:
    subject = subject_of(token_choice())
    subject.layer.assigned = None
    subject.layer.replay = torch.zeros(32, 2, dtype=torch.long) + torch.arange(2)
    assert "not the best" in (run("check", subject).incorrect or "")


def test_the_router_and_its_top_k_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    own = routing.top_k

    def top_k(scores: Tensor, k: int) -> Tensor:
        seen.append((*scores.shape, k))
        return own(scores, k)

    monkeypatch.setattr(routing, "top_k", top_k)
    subject_of(token_choice(routing="hot")).run()
    assert seen == [(32, 4, 2)]


def test_another_batch_is_refused_and_determinism_says_so() -> None:
    subject = subject_of(token_choice(routing="balanced"))
    with pytest.raises(ValueError, match="assigned to 32 tokens, and the batch has 16"):
        subject.forward(subject.x[:1])
    outcome = run("determinism", subject)
    assert outcome.values == {}
    assert "assigned to rows of the batch" in outcome.notes[0]


@pytest.mark.parametrize(
    "case", [block(token_choice()), stack(token_choice(), moe_layers="all"), decoder(token_choice())]
)
def test_each_layer_of_a_model_has_a_draw_of_its_own(case: Case) -> None:
    subject = subject_of(replace(case, routing="iid"))
    own = [part for part in subject.assigned if part is not None]
    assert len(own) == sum(part.case.layer == "token_choice" for part in subject.layer.parts)
    assert all(not torch.equal(one.choice, two.choice) for one, two in pairwise(own))
    assert run("check", subject).incorrect is None


def test_cases_that_share_a_layer_keep_their_own_assignments() -> None:
    shelf = Shelf(
        lambda case, seed: build(case, seed=seed),
        lambda case, layer, seed: make_subject(case, layer, seed=seed),
        1 << 30,
    )
    small, large = token_choice(routing="balanced"), token_choice(routing="balanced", batch=5)
    for case in (small, large, small):
        subject = shelf.subject(case, 0)
        assert subject.layer.assigned is subject.assigned[0]
        assert subject.run().shape[0] == case.batch


def test_layers_without_a_router_are_left_alone() -> None:
    assert subject_of(dense()).assigned == (None,)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_a_compiled_layer_follows_its_assignment_and_keeps_its_top_k(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.backends.common import aot_autograd  # seconds of import

    code = []

    def keep(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        code.append(graph.code)  # what is left once torch has taken out what nothing uses
        return graph

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=aot_autograd(fw_compiler=keep)))
    subject = subject_of(token_choice(routing="hot", capacity_factor=1.0, compile=True))
    eager = subject_of(token_choice(routing="hot", capacity_factor=1.0))
    torch.testing.assert_close(subject.run(), eager.run(), rtol=1e-4, atol=1e-5)
    assert run("check", subject).incorrect is None
    assert "aten.topk" in code[0]  # else the case would be timed without what a learned one spends there


# stored assignments


def stored_case(folder: Path, choice: object, **axes: object) -> Case:
    (folder / "trace.json").write_text(json.dumps(choice), "utf-8")
    digest = read_stored("trace.json", [folder]).digest
    return token_choice(routing="replay:trace.json", assignment=digest, **axes)


def test_a_stored_assignment_is_replayed(tmp_path: Path) -> None:
    case = stored_case(tmp_path, [[t % 4, (t + 1) % 4] for t in range(32)])
    subject = make_subject(case, build(case), folders=[str(tmp_path)])
    assert run("check", subject).incorrect is None
    assert run("routing", subject).values["load_cv"] == 0


def test_a_stored_assignment_may_differ_by_layer(tmp_path: Path) -> None:
    layers = [[[t % 4, (t + 1 + layer) % 4] for t in range(32)] for layer in range(2)]
    case = stored_case(tmp_path, layers)
    case = stack(case, depth=4)
    subject = make_subject(case, build(case), folders=[str(tmp_path)])
    own = [part.choice.tolist() for part in subject.assigned if part is not None]
    assert own == layers


def test_a_file_that_has_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    case = stored_case(tmp_path, [[0, 1]] * 32)
    stored_case(tmp_path, [[0, 2]] * 32)
    with pytest.raises(AssignmentError, match=r"trace\.json has changed since the run was planned"):
        make_subject(case, build(case), folders=[str(tmp_path)])


@pytest.mark.parametrize(("known", "status"), [(True, "ok"), (False, "crashed")])
def test_the_worker_finds_it_in_the_folders_that_it_is_given(tmp_path: Path, known: bool, status: str) -> None:
    case = stored_case(tmp_path, [[0, 1]] * 32)
    worker = Worker(CpuDevice(), folders=[str(tmp_path)] if known else [])
    settings = {"seconds_per_visit": 0.002, "min_samples": 1, "seed": 0}
    result = worker.visit(Request(0, case.variant, case.as_dict(), "routing", settings))
    assert result.status == status
    assert known or "trace.json: there is no such file" in (result.reason or "")


def test_a_run_tells_its_worker_where_the_suites_assignments_are(tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text(json.dumps([[0, 1]] * 8), "utf-8")
    plain, stored = (
        parse_suite(SUITE.format(routing=json.dumps([routing])), str(tmp_path / "loads.toml"))
        for routing in ("learned", "replay:trace.json")
    )
    assert own_folders(plan(plain)) == []
    assert own_folders(plan(stored))[0] == str(tmp_path)
