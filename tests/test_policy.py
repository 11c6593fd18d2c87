"""Policies: what they say, and what is wrong with one, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.declare.faults import SuiteError
from harness.declare.policy import USUAL, load_policy, parse_policy
from tests.fake_run import make_case

SOFT, DENSE = make_case("soft", "soft", experts=8), make_case("dense", "dense")

TEXT = """
failed = "warn"
[[rule]]
metrics = ["latency_ms"]
where = "layer == 'soft'"
threshold = 0.05
[[rule]]
metrics = ["latency_*"]
alert = "ignore"
[[rule]]
metrics = ["det_*", "params"]
"""


def test_the_first_rule_that_holds_decides() -> None:
    policy = parse_policy(TEXT)
    assert (policy.failed, policy.missing) == ("warn", "fail")
    assert policy.rule("latency_ms", SOFT) is policy.rules[0]
    assert policy.rule("latency_ms", DENSE) is policy.rules[1]
    assert policy.rule("det_run", DENSE) is policy.rules[2]
    assert policy.rule("energy_j_per_mtoken", DENSE) is None


def test_the_usual_policy_counts_times_and_what_has_no_noise() -> None:
    time, memory = USUAL.rule("latency_ms", DENSE), USUAL.rule("memory_peak_bytes", DENSE)
    assert time is not None
    assert memory is not None
    assert (time.threshold, memory.threshold) == (0.03, 0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("rule is missing", "at least one [[rule]]")),
        ("[[rule]]\n", ("metrics is missing", "patterns of them such as")),
        ('[[rule]]\nmetrics = ["latency"]\n', (":2", "'latency' is no metric", "did you mean: latency_ms")),
        ('[[rule]]\nmetrics = ["params"]\ntreshold = 1\n', (":3", "unknown key", "did you mean: threshold")),
        ('[[rule]]\nmetrics = ["params"]\nthreshold = -1\n', (":3", "a number of at least 0")),
        (
            '[[rule]]\nmetrics = ["params"]\nalert = "shout"\n',
            (":3", "'shout' is not known here", "fail, warn or ignore"),
        ),
        ('[[rule]]\nmetrics = ["params"]\nwhere = "expert > 1"\n', (":3", "did you mean: experts")),
        ('failed = 3\n[[rule]]\nmetrics = ["params"]\n', (":1", "3 is not known here", "fail, warn or ignore")),
        ("[[rule\n", ("not TOML",)),
    ],
)
def test_faults_have_a_line_and_a_way_out(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(SuiteError) as caught:
        parse_policy(text, "gate.toml")
    for word in words:
        assert word in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SuiteError) as caught:
        parse_policy('[[rule]]\nmetrics = ["a"]\n[[rule]]\nmetrics = ["b"]\n')
    assert len(caught.value.faults) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="there is no such file"):
        load_policy(tmp_path / "none.toml")
    (tmp_path / "gate.toml").write_text(TEXT)
    assert load_policy(tmp_path / "gate.toml").failed == "warn"
