"""How long a visit of the probe `energy` takes: what the probe itself, timeouts and progress must agree on."""

from __future__ import annotations

WINDOWS = 3
"""Windows of `energy_seconds` in one visit; the device is watched at rest for half of one before them."""
LEAD_S, REST_S = 2.0, 1.0
"""Work before each window, at the most, and rest before the device is watched at rest."""


def seconds_of_visit(energy_seconds: float) -> float:
    """Return the seconds that one visit takes beside the passes that it cannot do without."""
    return REST_S + energy_seconds / 2 + WINDOWS * (energy_seconds + LEAD_S)
