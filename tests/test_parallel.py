"""Expert parallelism on paper: what a suite may ask for, what cannot be spread and why, and what is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.case import Case
from harness.declare.costs import cost, resolve_backend, unsupported
from harness.declare.costs_exchange import COUNT_BYTES, exchange_bytes, has_fixed_messages, messages
from harness.declare.faults import SuiteError
from harness.declare.parallel import of_rank, on_one_device
from harness.declare.plan import plan
from harness.declare.suite import parse_suite
from harness.declare.visits import seconds_allowed, visits
from harness.devices.interface import NoSuchDevice
from harness.engine.planning import check_ranks
from harness.engine.sources import layer_digest, layer_name
from harness.parallel.lines import Ask, Failure, Lost, Told, Up, read, write
from harness.parallel.overlap import overlap, union
from harness.parallel.pulse import Pulse
from tests.cases import block, dense, expert_choice, soft, token_choice

SUITE = """
title = "Ranks"
[base]
d_model = 32
d_ff = 64
experts = 4
batch = 4
tokens = 16
group = "sequence"
[[variant]]
name = "top-2"
layer = "token_choice"
sweep.expert_parallel = {ranks}
[[variant]]
name = "dense"
layer = "dense"
[measure]
probes = ["flops", "exchange"]
"""


def suite(ranks: str) -> list[Case]:
    return [planned.case for planned in plan(parse_suite(SUITE.format(ranks=ranks))).cases]


def test_a_suite_sweeps_ranks_and_layers_without_experts_stay_on_one_device() -> None:
    assert [(case.variant, case.expert_parallel) for case in suite("[1, 2, 4]")] == [
        ("top-2", 1), ("top-2", 2), ("top-2", 4), ("dense", 1),
    ]  # fmt: skip
    assert [case.expert_parallel for case in suite("{ from = 1, to = 4, times = 2 }")][:3] == [1, 2, 4]


def test_more_ranks_than_experts_are_a_fault_of_the_suite_that_names_the_line() -> None:
    with pytest.raises(SuiteError) as caught:
        suite("[2, 8]")
    message = str(caught.value)
    assert "top-2: expert_parallel = 8 is above experts = 4" in message
    assert "suite.toml:13" in message
    assert "at most as many ranks as experts" in message


def test_a_case_on_one_device_keeps_its_key_and_one_on_ranks_has_its_own() -> None:
    alone, spread = token_choice(), token_choice(expert_parallel=2)
    assert "expert_parallel" not in alone.as_dict()
    assert token_choice(expert_parallel=1).key == alone.key != spread.key
    assert Case.from_dict("top-2", spread.as_dict()) == spread
    assert "-ep2-" in spread.id
    assert "-ep" not in alone.id


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (token_choice(experts=6, batch=4, expert_parallel=4), "experts = 6 cannot be shared evenly by 4 ranks"),
        (token_choice(batch=3, expert_parallel=2), "batch = 3 cannot be shared evenly by 2 ranks"),
        (token_choice(capacity_factor=1.0, expert_parallel=2), 'group = "batch" lets tokens of all ranks compete'),
        (expert_choice(expert_parallel=2), 'group = "batch" lets tokens of all ranks compete'),
        (token_choice(expert_parallel=2, backend="loop"), "expert_parallel runs token_choice by the backend grouped"),
        (soft(expert_parallel=2, compile=True), "torch.compile is applied on one device alone"),
        (block(soft(expert_parallel=2)), "scope = 'block' is measured on one device"),
        (dense(expert_parallel=2), "dense has no experts to spread over ranks"),
        (
            token_choice(expert_parallel=2, pass_="train", balance="switch"),
            "balance = 'switch' is a loss over the whole",
        ),
        (token_choice(expert_parallel=2, pass_="train", noise="vmoe"), "noise = 'vmoe' is drawn for the whole batch"),
    ],
)
def test_what_cannot_be_spread_says_why(case: Case, words: str) -> None:
    assert str(unsupported(case)).startswith(words)
    assert unsupported(replace(case, expert_parallel=1)) is None


@pytest.mark.parametrize(
    "case",
    [token_choice(), token_choice(capacity_factor=1.0, group="sequence"), soft(), expert_choice(group="sequence")],
)
def test_ranks_run_the_backend_that_can_exchange_whatever_is_best_alone(case: Case) -> None:
    spread = replace(case, expert_parallel=2, d_model=30)  # unaligned: `best` would be the loop in token choice
    assert (
        resolve_backend(spread)
        == on_one_device(spread).backend
        == {"soft": "batched"}.get(case.layer, "batched" if case.layer == "expert_choice" else "grouped")
    )
    assert (of_rank(spread).batch, on_one_device(spread).expert_parallel) == (1, 1)


@pytest.mark.parametrize("pass_", ["forward", "forward_backward", "train"])
def test_the_work_is_that_of_one_device_and_what_stands_on_every_rank_is_counted_on_each(pass_: str) -> None:
    alone = cost(token_choice(batch=4, pass_=pass_, shared_experts=1))
    spread = cost(token_choice(batch=4, pass_=pass_, shared_experts=1, expert_parallel=4))
    assert (spread.params, spread.flops_executed, spread.flops_model) == (
        alone.params, alone.flops_executed, alone.flops_model,
    )  # fmt: skip
    copies = 3 * (32 * 4 + 32 * 64 * 2 + 64 + 32)  # router and shared expert on three ranks more
    assert spread.weight_bytes - alone.weight_bytes == 4 * copies
    assert spread.bytes - alone.bytes == 4 * copies * (1 if pass_ == "forward" else 3)
    one = cost(token_choice(batch=4, pass_=pass_, expert_parallel=4, shared_experts=1), "cuda")
    assert one.memory_needed < cost(token_choice(batch=4, pass_=pass_, shared_experts=1), "cuda").memory_needed
    if pass_ != "forward":  # whose peak differs from device to device
        assert spread.memory_needed == 4 * one.memory_needed  # on a CPU all ranks share one memory


def test_messages_by_hand() -> None:
    """Two ranks, 4 experts, 2 sequences of 16 tokens, rows of 32 float32: 128 bytes."""
    own = soft(expert_parallel=2)
    assert messages(own) == [[[0, 2 * 128], [2 * 128, 0]]] * 2  # 2 experts there, 1 slot each, of 1 sequence here
    capacity = token_choice(capacity_factor=1.0, group="sequence", expert_parallel=2)
    assert messages(capacity) == [[[0, 2 * 8 * 128], [2 * 8 * 128, 0]]] * 2  # room for 16 * 2 / 4 rows
    chosen = expert_choice(group="sequence", expert_parallel=2, pass_="train")
    assert messages(chosen) == [[[0, 2 * 4 * 128], [2 * 4 * 128, 0]]] * 4
    rows = [[20, 12], [5, 27]]
    counts, there, back = messages(token_choice(expert_parallel=2), rows)
    assert counts == [[0, 2 * COUNT_BYTES], [2 * COUNT_BYTES, 0]]
    assert there == [[0, 12 * 128], [5 * 128, 0]]
    assert back == [[0, 5 * 128], [12 * 128, 0]]
    assert len(messages(token_choice(expert_parallel=2, pass_="train"), rows)) == 5


def test_even_loads_send_what_is_predicted() -> None:
    case = token_choice(experts=8, batch=4, expert_parallel=4)
    even = [[case.sequence_tokens * 2 // 16] * 4] * 4
    assert exchange_bytes(case) == sum(size for sent in messages(case, even) for own in sent for size in own)
    assert not has_fixed_messages(case)


def test_the_exchange_is_visited_on_ranks_alone_and_given_time_to_start_them() -> None:
    planned = plan(parse_suite(SUITE.format(ranks="[1, 2]")))
    keys = {visit.key for visit in visits(planned) if visit.probe == "exchange"}
    assert keys == {case.case.key for case in planned.cases if case.case.expert_parallel == 2}
    assert seconds_allowed(token_choice(expert_parallel=2), 10.0) > seconds_allowed(token_choice(), 10.0) + 180


def test_ranks_without_a_gpu_each_end_the_run_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(parse_suite(SUITE.format(ranks="[1, 4]")))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    check_ranks(planned, "cpu")
    with pytest.raises(NoSuchDevice, match="asks for 4 GPUs, one a rank, and there are 2 CUDA devices: --select"):
        check_ranks(planned, "cuda")
    check_ranks(plan(parse_suite(SUITE.format(ranks="[1, 2]"))), "cuda")


def test_a_run_over_devices_has_one_for_each_worker_and_none_for_ranks() -> None:
    spread = plan(parse_suite(SUITE.format(ranks="[1, 2]")))
    check_ranks(spread, "cpu", shared_out=True)
    with pytest.raises(NoSuchDevice, match="expert_parallel = 2 asks for 2 GPUs, and --devices and --ray give each"):
        check_ranks(spread, "cuda", shared_out=True)
    check_ranks(plan(parse_suite(SUITE.format(ranks="[1]"))), "cuda", shared_out=True)


def test_a_layer_over_ranks_stands_on_the_code_of_the_exchange() -> None:
    assert layer_name(token_choice(expert_parallel=2)) == "token_choice/ranks"
    assert layer_name(token_choice()) == "token_choice"
    assert layer_digest("token_choice/ranks") != layer_digest("token_choice")


@pytest.mark.parametrize(
    "line",
    [
        Up([1, 2]),
        Ask("soft", soft().as_dict(), "check", {"seed": 0}),
        Told({"values": {"latency_ms": [1.0]}}, "batched"),
        Lost(1, -9),
        Failure(1, None, "error", "ValueError: planted", "Traceback"),
    ],
)
def test_lines_come_back_as_they_were(line: Up | Ask | Told | Lost | Failure) -> None:
    assert read(write(line)) == line
    assert write(line).count(b"\n") == 1


@pytest.mark.parametrize("text", [b"{}", b'{"type": "up"}', b"[]", b'"up"', b"nonsense"])
def test_a_line_of_somebody_else_is_told(text: bytes) -> None:
    with pytest.raises(ValueError):
        read(text)


def test_the_rank_that_has_come_to_fewest_meetings_is_the_one_that_is_missing(tmp_path: Path) -> None:
    pulse, same = Pulse(tmp_path, 3, new=True), Pulse(tmp_path, 3)
    assert pulse.missing() == [0, 1, 2]
    for rank in (0, 2):
        same.come(rank)
    assert pulse.missing() == [1]


def test_overlap_of_planted_kernels() -> None:
    kernels = [
        ("ncclDevKernel_SendRecv", (0.0, 10.0)),
        ("gemm", (5.0, 8.0)),
        ("gelu", (7.0, 12.0)),
        ("gemm", (20.0, 30.0)),
    ]
    assert overlap(kernels) == pytest.approx(0.5)
    assert overlap([("ncclDevKernel_SendRecv", (0.0, 4.0)), ("gemm", (4.0, 9.0))]) == 0
    assert overlap([("gemm", (0.0, 1.0))]) is None
    assert union([(3.0, 4.0), (0.0, 1.0), (0.5, 2.0)]) == [(0.0, 2.0), (3.0, 4.0)]
