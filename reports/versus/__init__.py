"""Baseline against candidate: two runs' cases matched, their changes judged, and printed."""

from reports.versus.versus import Row, Versus, compare

__all__ = ["Row", "Versus", "compare"]
