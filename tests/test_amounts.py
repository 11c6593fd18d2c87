from __future__ import annotations

import pytest

from harness.cli.amounts import bytes_of, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90), ("1d", 86400)]
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "5 m", "1h 30m", "0s", "1w", "m30", "infs", "1e3s", "٣m"])
def test_what_is_no_time_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time above zero, such as 90s, 30m, 2h or 1h30m"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("16G", 16 << 30), ("1.5G", 3 << 29), ("1GiB", 1 << 30), ("2TB", 2 << 40)]
)
def test_sizes(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "16", "G", "0G", "-1G", "16g", "1KB", "16 G"])
def test_what_is_no_size_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size above zero, such as 512M or 16G"):
        bytes_of(text)
