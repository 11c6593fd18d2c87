"""RAPL: the energy of the processor's packages, by the counters that Linux's powercap shows.

Intel's Software Developer's Manual, volume 3, "Power and thermal management"; AMD's processors since Zen have the same.
A package is the cores, caches and memory controller of one socket, whoever uses them; DRAM and the rest of the machine
are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass(slots=True)
class Package:
    """One package's counter, which starts anew after `wraps_at` microjoules."""

    path: Path
    wraps_at: int
    last: int
    passed: int = 0
    """Microjoules since it was opened."""

    def joules(self) -> float:
        """Return what the package has taken since it was opened; to be asked at least once between two wraparounds."""
        now = _number(self.path / "energy_uj")
        self.passed += now - self.last if now >= self.last else now - self.last + self.wraps_at
        self.last = now
        return self.passed * 1e-6


class Rapl:
    """All packages of this machine; none where Linux shows none, or not to this user."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._packages: list[Package] = []
        self.missing = f"this machine has no counter ({root} shows no package of RAPL)"
        """Why there is no counter, in words that end a sentence; of no meaning where there is one."""
        for folder in sorted(root.glob("intel-rapl:*")):
            try:
                if (folder / "name").read_text("ascii").startswith("package"):
                    wraps_at, now = _number(folder / "max_energy_range_uj"), _number(folder / "energy_uj")
                    self._packages.append(Package(folder, wraps_at, now))
            except PermissionError:
                self.missing = f"RAPL's counter is for root alone to read ({folder}/energy_uj)"
                self._packages.clear()
                return
            except (OSError, ValueError):
                continue

    def joules(self) -> float | None:
        """Return what all packages have taken since this was made; None where there is no counter, or no longer."""
        try:
            return sum(package.joules() for package in self._packages) if self._packages else None
        except (OSError, ValueError):
            return None


def _number(path: Path) -> int:
    return int(path.read_text("ascii"))
