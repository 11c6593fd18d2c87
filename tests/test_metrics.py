from __future__ import annotations

import math

import pytest

from harness.metrics import (
    METRICS,
    digits,
    show,
    show_bytes,
    show_count,
    show_interval,
    show_number,
    show_percent,
    show_ratio,
    show_scaled,
    show_spread,
)


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


def test_a_time_keeps_two_digits_however_wide_its_interval() -> None:
    """512 tokens at 166 k/s are 3.1 ms: `3 ms` in the next cell would be of another time."""
    assert show("latency_ms", 3.09, 2.37, 20.3) == "3.1 ms"
    assert show("latency_ms", 0.76, 0.55, 4.0) == "0.76 ms"
    assert show("latency_ms", 11.4, 8.0, 38.0) == "11 ms"


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


@pytest.mark.parametrize(
    ("value", "low", "high", "ratio", "interval"),
    [
        (0.839, 0.819, 0.860, "0.84×", "[0.82, 0.86]"),
        (47.0, 45.2, 49.1, "47×", "[45, 49]"),
        (1.31, 1.21, 1.34, "1.31×", "[1.21, 1.34]"),
        (1.0032, 1.0021, 1.0043, "1.003×", "[1.002, 1.004]"),
        (0.09, 0.01, 1.31, "0.09×", "[0.01, 1.31]"),
        (1.0, 1.0, 1.0, "1.00×", "[1.00, 1.00]"),
        (1.0, 1.0 - 1e-16, 1.0, "1.00×", "[1.00, 1.00]"),
        (1.3, 0.47, 3.6, "1.3×", "[0.5, 3.6]"),
        (4.398, 2.591, 5.341, "4.4×", "[2.6, 5.3]"),
        (0.986, 0.728, 1.101, "0.99×", "[0.73, 1.10]"),
        (1.174, 1.066, 1.294, "1.17×", "[1.07, 1.29]"),
        (3.431, 2.410, 3.625, "3.4×", "[2.4, 3.6]"),
        (15.2, 13.9, 16.9, "15×", "[14, 17]"),
        (1.3, 1.02, 1.7, "1.30×", "[1.02, 1.70]"),
        (3.9, 1.2, 9.6, "3.9×", "[1.2, 9.6]"),
        (0.6, 0.2, 0.96, "0.60×", "[0.20, 0.96]"),
        (1.1, 0.067, 15.2, "1×", "[0.07, 15]"),
        (0.47, 0.0008, 270.0, "0.5×", "[< 0.001, 270]"),
        (0.7, 8e-11, 6433548269.8, "0.7×", "[< 0.001, > 1000]"),
        (1.2, 0.02, math.inf, "1×", "[0.02, > 1000]"),
        (0.004, 0.001, 0.9, "0.004×", "[0.001, 0.900]"),
    ],
)
def test_ratios_have_the_digits_of_their_interval(
    value: float, low: float, high: float, ratio: str, interval: str
) -> None:
    assert show_ratio(value, low, high) == ratio
    assert show_interval(value, low, high) == interval


def test_slopes_may_be_negative_or_nothing() -> None:
    assert show_number(0.007, -0.004, 0.018) == "0.007"
    assert show_interval(0.007, -0.004, 0.018) == "[−0.004, 0.018]"
    assert show_number(-0.00001, -0.04, 0.04) == "0.0000"
    assert show_interval(0.5, 0.002, 1.1) == "[0.002, 1.1]"
    assert show_interval(-0.5, -1.1, -0.002) == "[−1.1, −0.002]"
    assert show_interval(2.0, -5000.0, 300.0) == "[< −1000, 300]"


def test_per_cent_is_never_rounded_to_all_or_nothing() -> None:
    assert [show_percent(share) for share in (0, 0.004, 0.62, 0.9996, 1)] == [
        "0 %",
        "0.4 %",
        "62 %",
        "99.96 %",
        "100 %",
    ]
    assert [show_spread(share) for share in (0.0081, 0.12, 1.5, 1506.75)] == ["0.8 %", "12 %", "150 %", ">1000 %"]


def test_what_is_beyond_all_numbers_is_printed_and_raises_nothing() -> None:
    assert show_ratio(math.inf) == "inf×"
    assert show_ratio(math.inf, 1.0, math.inf) == "inf×"
    assert show_bytes(math.inf) == "inf B"
    assert show_scaled(math.inf, "FLOP") == "inf FLOP"


def test_what_nobody_measures_is_printed_by_its_power_of_ten() -> None:
    assert show("latency_ms", 1.234e150) == "1.23e150 ms"
    assert show("latency_ms", 9.99e14) == "999000000000000 ms"
    assert show_bytes(1e60) == "9.09e47 TiB"
    assert show_scaled(1e60, "FLOP") == "1e45 PFLOP"
    assert show_ratio(-2e20) == "−2e20×"
    assert show_percent(1e40) == "1e42 %"
    assert show_count(1e40) == "1e40"
