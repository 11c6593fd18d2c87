"""What a GPU was seen to do elsewhere: what the session's own figures are held against. None of them is a limit.

A ceiling far below its lead says that this machine, or the method, is not as it should be; one far above it that the
clock or the data are wrong (zeros multiply 13 % faster than random numbers).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lead:
    """One model of GPU: figures in FLOP/s, B/s and bytes."""

    matmul: tuple[float, float]
    """bfloat16, 8192 x 8192 x 8192, random data: lowest and highest seen."""
    copy: float
    """Device to device, bytes read and written added up."""
    l2: int
    """As torch reports it."""


LEADS = {"H200": Lead((769e12, 798e12), 4.3e12, 60 << 20)}
"""By a part of the device's name."""
WITHIN = 0.05
"""How far from its lead a figure may lie and still agree with it."""


def lead_of(device: str) -> Lead | None:
    """Return what is known of the GPU with this name; None where nothing is."""
    return next((lead for name, lead in LEADS.items() if name in device), None)
