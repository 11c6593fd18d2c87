"""Amounts as people write them on a command line: `90s`, `30m`, `2h`; `512M`, `16G`."""

from __future__ import annotations

import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_DURATION = re.compile(rf"(?:{_NUMBER}[smhd])+")
_SIZE = re.compile(rf"{_NUMBER}([MGT])(?:i?B)?")


def seconds_of(text: str) -> float:
    """Return the seconds of `90s`, `30m`, `2h` or `1h30m`; raise ValueError with what was expected."""
    parts = re.findall(rf"{_NUMBER}([smhd])", text)
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if not _DURATION.fullmatch(text) or not seconds:
        raise ValueError("expected a time above zero, such as 90s, 30m, 2h or 1h30m")
    return seconds


def bytes_of(text: str) -> int:
    """Return the bytes of `512M` or `16G`, in powers of 1024; raise ValueError with what was expected."""
    found = _SIZE.fullmatch(text)
    if found is None or not float(found[1]):
        raise ValueError("expected a size above zero, such as 512M or 16G")
    return int(float(found[1]) * BYTES[found[2]])
