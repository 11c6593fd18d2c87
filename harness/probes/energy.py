"""Energy: what one pass takes from the device, by the device's own counter; nothing where it has none."""

from __future__ import annotations

from harness.devices.interface import Device
from harness.probes.outcome import Outcome, Settings
from harness.probes.subject import Subject

METRICS = ("energy_j_per_mtoken", "energy_net_j_per_mtoken", "power_w", "power_idle_w")


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the energy of a million tokens; never an estimate."""
    return Outcome(notes=[f"energy is not measured: {device.kind} has no counter that is read here"])
