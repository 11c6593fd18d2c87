"""Priced: a suite's cases on a cluster, and `harness plan --cluster` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.cluster import show_seconds
from harness.declare.cluster import Cluster
from harness.declare.cluster_file import load_cluster, parse_cluster
from harness.declare.costs import cost
from harness.declare.faults import SuiteError
from harness.declare.predict import predict
from harness.declare.priced import check_priceable, price_on
from tests.cases import dense, soft, token_choice
from tests.test_cli import ends, harness

SMALL = """
title = "Two small devices"
ranks = [1, 2]
[[device]]
name = "fast"
flops_per_s = { float32 = 1e12 }
bytes_per_s = 1e11
memory_bytes = 1e10
[[device]]
name = "tiny"
kind = "cpu"
flops_per_s = { float32 = 1e10, bfloat16 = 1e10 }
bytes_per_s = 1e9
memory_bytes = 50_000
launch_s = 1e-5
[links]
ranks_per_node = 2
node = { latency_s = 1e-6, bytes_per_s = 1e10 }
"""
ONE_CASE = """
title = "One"
[base]
d_model = 32
d_ff = 64
tokens = 16
[[variant]]
name = "soft"
layer = "soft"
experts = 4
"""


@pytest.fixture
def small() -> Cluster:
    return parse_cluster(SMALL, "small.toml")


def test_a_case_is_priced_on_every_device_and_number_of_ranks(small: Cluster) -> None:
    found = price_on(small, soft())
    assert [(one.device, one.ranks) for one in found] == [("fast", 1), ("fast", 2), ("tiny", 1), ("tiny", 2)]
    assert found[0].prediction == predict(soft(), small.devices[0].roofs, device="cuda")
    assert [one.ranks for one in price_on(small, soft(), [2])] == [2, 2]


def test_what_a_rank_holds_must_fit(small: Cluster) -> None:
    assert cost(soft()).memory_needed > 50_000
    assert [one.fits for one in price_on(small, soft())] == [True, True, False, True]


def test_ranks_without_a_sequence_are_told(small: Cluster) -> None:
    assert [one.idle for one in price_on(small, soft(batch=1), [1, 2])][:2] == [0, 1]
    assert [one.idle for one in price_on(small, soft(batch=8), [2])] == [0, 0]


def test_ranks_that_nothing_joins_are_told(small: Cluster) -> None:
    assert [one.unsupported for one in price_on(small, soft(), [4])] == ["4 ranks are more than one node's 2"] * 2


def test_what_cannot_run_there_says_why(small: Cluster) -> None:
    (one, *_) = price_on(small, token_choice(top_k=8))
    assert (one.prediction, one.fits) == (None, None)
    assert one.unsupported == "top_k = 8 is above experts = 4"


def test_all_faults_of_a_suite_and_a_cluster_come_at_once(small: Cluster) -> None:
    cases = [soft(dtype="bfloat16"), token_choice(variant="one", experts=1, top_k=1), dense()]
    with pytest.raises(SuiteError) as error:
        check_priceable(small, cases)
    few, none = (str(fault).split("\n    expected: ") for fault in error.value.faults)
    assert few[0] == "small.toml:3: ranks[1]: 2 ranks are more than the one expert of one"
    assert few[1] == '1 rank in the file; harness plan also takes --ranks 1, or --select "experts >= 2"'
    assert none[0] == "small.toml:6: device[0].flops_per_s: fast has no peak for bfloat16, which the suite asks for"
    assert none[1] == "bfloat16 = its FLOP/s, or --set dtype=float32"


def test_too_many_ranks_of_a_file_can_be_made_fewer_on_the_command_line(small: Cluster) -> None:
    with pytest.raises(SuiteError) as error:
        check_priceable(small.model_copy(update={"ranks": [2, 8]}), [soft(experts=4)])
    words = 'at most 4 ranks in the file; harness plan also takes --ranks 4, or --select "experts >= 8"'
    assert str(error.value).endswith(words)


def test_ranks_of_the_command_line_are_held_to_the_links(small: Cluster) -> None:
    check_priceable(small, [soft()], [2])
    with pytest.raises(SuiteError, match="--ranks: 4 ranks are more than one node's 2"):
        check_priceable(small, [soft()], [4])
    with pytest.raises(SuiteError, match="--ranks: 8 ranks are more than the 4 experts of soft"):
        check_priceable(load_cluster("h200-node"), [soft()], [8])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0"), (3.2, "3.2 s"), (0.0123456, "12.3 ms"), (4e-6, "4 µs"), (2.5e-9, "2.5 ns"), (1e-12, "0.001 ns")],
)
def test_times_are_short(seconds: float, words: str) -> None:
    assert show_seconds(seconds) == words


# as a user types it


def written(folder: Path) -> tuple[Path, Path]:
    suite, cluster = folder / "one.toml", folder / "small.toml"
    suite.write_text(ONE_CASE)
    cluster.write_text(SMALL)
    return suite, cluster


def test_the_table_has_every_part_of_the_time(tmp_path: Path) -> None:
    suite, cluster = written(tmp_path)
    done = harness("plan", suite, "--cluster", cluster)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Two small devices: times of one pass as a roofline predicts them, of the busiest rank"
    assert lines[1].split() == [
        "compute",
        "memory",
        "launches",
        "exchange",
        "predicted",
        "bound",
        "ranks",
        "case",
        "on",
        "device",
    ]
    assert len(lines) == 2 + 4 + 4
    assert lines[4].endswith("on tiny  (does not fit)")
    assert lines[-4].startswith("fast × 1: ")


def test_one_of_a_thing_is_one(tmp_path: Path) -> None:
    suite, cluster = written(tmp_path)
    text = harness("plan", suite, "--cluster", cluster, "--ranks", "2", "--set", "batch=1").stdout
    assert "(1 rank has no sequence)" in text
    assert "for one pass of one case; " in text


def test_devices_that_nothing_joins_sum_up_to_nothing(tmp_path: Path) -> None:
    suite, _ = written(tmp_path)
    text = harness("plan", suite, "--cluster", "gpus", "--set", "expert_parallel=2").stdout
    assert "NVIDIA H200 × 2: none of the cases that ask for it can run there" in text


def test_the_document_of_a_plan_only_gains_keys(tmp_path: Path) -> None:
    suite, cluster = written(tmp_path)
    bare = json.loads(harness("plan", suite, "--json").stdout)
    data = json.loads(harness("plan", suite, "--cluster", cluster, "--ranks", "2", "--json").stdout)
    assert data["cluster"] == {"title": "Two small devices", "ranks": [2]}
    (case,) = data["cases"]
    priced = case.pop("cluster")
    assert case == bare["cases"][0]
    assert [(one["device"], one["ranks"]) for one in priced] == [("fast", 2), ("tiny", 2)]
    assert {"compute_s", "memory_s", "launch_s", "exchange", "seconds", "bound", "phases", "fits"} <= priced[0].keys()
    assert priced[0]["exchange"]["sent_bytes"] > 0


def test_prices_need_no_torch(tmp_path: Path) -> None:
    done = harness(
        "plan", *written(tmp_path)[:1], "--cluster", "h200-node", "--ranks", "1", PYTHONPROFILEIMPORTTIME="1"
    )
    assert done.returncode == 0
    assert "| torch" not in done.stderr.replace("  ", "")


def test_bad_input_is_a_sentence(tmp_path: Path) -> None:
    suite, cluster = written(tmp_path)
    ends(2, harness("plan", suite, "--ranks", "2"), "--ranks", "give --cluster FILE too")
    ends(2, harness("plan", suite, "--cluster", tmp_path / "none.toml"), "there is no such file", "h200-node")
    ends(2, harness("plan", suite, "--cluster", cluster, "--ranks", "8"), "8 ranks are more than the 4 experts")
    ends(2, harness("plan", suite, "--cluster", "gpus", "--set", "dtype=float64"), "L40S has no peak for float64")
    cluster.write_text(SMALL.replace("bytes_per_s = 1e11", 'bytes_per_s = "fast"'))
    ends(2, harness("plan", suite, "--cluster", cluster), "small.toml:7", "a number")
