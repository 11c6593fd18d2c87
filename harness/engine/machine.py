"""How the machine is set: what pyperf's `system show` looks at, from Linux's files; what is not told is left out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from harness.devices.cgroup import Cgroup
from harness.devices.interface import Fact

ROOT = Path("/")
FILES = {
    "governor": "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "no_turbo": "sys/devices/system/cpu/intel_pstate/no_turbo",
    "boost": "sys/devices/system/cpu/cpufreq/boost",
    "smt": "sys/devices/system/cpu/smt/control",
    "isolated_cores": "sys/devices/system/cpu/isolated",
    "numa_nodes": "sys/devices/system/node/online",
    "huge_pages": "sys/kernel/mm/transparent_hugepage/enabled",
    "aslr": "proc/sys/kernel/randomize_va_space",
    "swappiness": "proc/sys/vm/swappiness",
}
"""What is told, and where; each moves times, or how they vary."""


def machine(root: Path = ROOT, cgroup: Cgroup | None = None) -> dict[str, Fact]:
    """Return the settings of the machine, and the limits of the container, as `run.json` keeps them."""
    found: dict[str, Fact] = {}
    for name, place in FILES.items():
        with suppress(OSError, UnicodeDecodeError):
            if text := _chosen((root / place).read_text("ascii").strip()):
                found[name] = text
    return found | {name: limit for name, limit in (cgroup or Cgroup()).limits().items() if limit is not None}


def _chosen(text: str) -> str:
    """Return the word in brackets where Linux lists all that there are: `always [madvise] never`."""
    return next((word[1:-1] for word in text.split() if word.startswith("[") and word.endswith("]")), text)
