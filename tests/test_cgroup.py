"""Control groups: what they say is planted in files like Linux's."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices import names
from harness.devices.cgroup import Cgroup
from harness.devices.host import Host
from harness.engine.machine import machine
from harness.engine.marks import marks


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def unified(tmp_path: Path, **stat: int) -> Cgroup:
    """Return the groups of a process two deep, of which the outer has the tighter share of the cores."""
    counts = {"throttled": 0, "hits": 0, "kills": 0} | stat
    root = plant(
        tmp_path / "cgroup",
        {
            "a/cpu.max": "150000 100000\n",
            "a/memory.max": "max\n",
            "a/b/cpu.max": "400000 100000\n",
            "a/b/memory.max": "1073741824\n",
            "a/b/cpu.stat": f"usage_usec 9\nnr_periods 7\nnr_throttled {counts['throttled']}\nthrottled_usec 3\n",
            "a/b/memory.events": f"low 0\nhigh 0\nmax {counts['hits']}\noom 0\noom_kill {counts['kills']}\n",
        },
    )
    return Cgroup(root, plant(tmp_path, {"membership": "0::/a/b\n"}) / "membership")


def test_the_tightest_limit_of_all_groups_around_a_process_holds(tmp_path: Path) -> None:
    assert unified(tmp_path).limits() == {"cpu_quota_cores": 1.5, "memory_limit_bytes": 1 << 30}


def test_counts_of_being_held_back(tmp_path: Path) -> None:
    found = unified(tmp_path, throttled=4, hits=2, kills=1).state()
    assert found == {"quota_throttles": 4, "memory_limit_hits": 2, "oom_kills": 1}


def test_version_1(tmp_path: Path) -> None:
    root = plant(
        tmp_path / "cgroup",
        {
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/box/cpu.cfs_quota_us": "50000\n",
            "cpu/box/cpu.cfs_period_us": "100000\n",
            "cpu/box/cpu.stat": "nr_periods 10\nnr_throttled 6\nthrottled_time 5\n",
            "memory/memory.limit_in_bytes": f"{(1 << 63) - 4096}\n",
            "memory/box/memory.limit_in_bytes": "2048\n",
            "memory/box/memory.failcnt": "8\n",
            "memory/box/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        },
    )
    found = Cgroup(root, plant(tmp_path, {"membership": "4:memory:/box\n3:cpuacct,cpu:/box\n0::/\n"}) / "membership")
    assert found.limits() == {"cpu_quota_cores": 0.5, "memory_limit_bytes": 2048}
    assert found.state() == {"quota_throttles": 6, "memory_limit_hits": 8, "oom_kills": 3}


def test_a_container_that_does_not_see_its_own_path_has_the_roots(tmp_path: Path) -> None:
    root = plant(tmp_path / "cgroup", {"cpu.max": "200000 100000\n"})
    found = Cgroup(root, plant(tmp_path, {"membership": "0::/../../elsewhere\n"}) / "membership")
    assert found.limits()["cpu_quota_cores"] == 2.0


@pytest.mark.parametrize(
    "files", [{}, {"cpu.max": "max 100000\n", "memory.max": "max\n"}, {"cpu.max": "1 0\n"}, {"cpu.max": "\n"}]
)
def test_without_limits_there_are_none(tmp_path: Path, files: dict[str, str]) -> None:
    found = Cgroup(plant(tmp_path / "cgroup", files), tmp_path / "none")
    assert found.limits() == {"cpu_quota_cores": None, "memory_limit_bytes": None}
    assert found.state() == {}


def test_a_visit_in_which_the_quota_was_used_up_is_marked(tmp_path: Path) -> None:
    host = Host()
    host._cgroup = unified(tmp_path, throttled=4)
    before = host.state()
    unified(tmp_path, throttled=5, hits=1)
    assert {"quota", "squeezed"} <= set(marks(before, host.state()))
    assert not {"quota", "squeezed"} & set(marks(host.state(), host.state()))


def test_a_nested_limit_is_what_layers_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "Cgroup", lambda: unified(tmp_path))
    assert names.memory_bytes("cpu") == 1 << 30


def test_the_machines_settings(tmp_path: Path) -> None:
    root = plant(
        tmp_path / "root",
        {
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
            "proc/sys/kernel/randomize_va_space": "2\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
            "sys/devices/system/cpu/isolated": "\n",
        },
    )
    assert machine(root, unified(tmp_path)) == {
        "huge_pages": "madvise", "aslr": "2", "governor": "powersave", "cpu_quota_cores": 1.5,
        "memory_limit_bytes": 1 << 30,
    }  # fmt: skip
    assert machine(tmp_path / "none", Cgroup(tmp_path / "none", tmp_path / "none")) == {}
