from __future__ import annotations

import pytest

from harness.metrics import METRICS, digits, show, show_bytes, show_scaled


@pytest.mark.parametrize(
    ("name", "value", "low", "high", "text"),
    [
        ("latency_ms", 1.23456, 1.19, 1.28, "1.235 ms"),
        ("latency_ms", 1.23456, 1.2345, 1.2347, "1.23456 ms"),
        ("latency_ms", 123.456, 100.0, 150.0, "123 ms"),
        ("latency_ms", 1.23456, None, None, "1.23 ms"),
        ("drop_rate", 0.0, None, None, "0"),
        ("flops_model", 2_415_919_104, None, None, "2.42 GFLOP"),
        ("params", 37_754_112, None, None, "37.8 M"),
        ("params", 12, None, None, "12"),
        ("memory_peak_bytes", 1.3e9, None, None, "1.21 GiB"),
        ("det_run_cause", "none", None, None, "none"),
        ("latency_ms", None, None, None, "–"),
        ("latency_ms", float("nan"), None, None, "–"),
    ],
)
def test_show(name: str, value: float | str | None, low: float | None, high: float | None, text: str) -> None:
    assert show(name, value, low, high) == text


def test_digits_never_promise_more_than_the_interval() -> None:
    assert digits(1.23456, 1.0, 1.5) == 2
    assert digits(1.23456, 1.2344, 1.2346) == 5
    assert digits(500.0, 400.0, 600.0) == 0


def test_scales() -> None:
    assert show_bytes(0) == "0 B"
    assert show_bytes(1023) == "1023 B"
    assert show_bytes(1024) == "1.00 KiB"
    assert show_scaled(999, "FLOP") == "999 FLOP"
    assert show_scaled(1000, "FLOP") == "1.00 kFLOP"


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.text.endswith(".")
