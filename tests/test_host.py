from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil

from harness.devices.host import Host, Usage


def test_state_is_plain_values() -> None:
    state = Host().state()
    assert {"load_1min", "swap_used_bytes", "steal_percent", "others_percent", "core_seconds"} <= set(state)
    assert json.loads(json.dumps(state)) == state


def test_what_others_take_of_the_cores_is_seen() -> None:
    def burn(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    program = "import time; end = time.perf_counter() + 0.6\nwhile time.perf_counter() < end: pass"
    other, host = subprocess.Popen([sys.executable, "-S", "-c", program]), Host()
    burn(0.4)
    state = host.state()
    other.wait()
    assert isinstance(state["others_percent"], float)
    assert state["others_percent"] >= 100 / (psutil.cpu_count() or 1) / 4, "one busy process beside us does not show"
    assert isinstance(state["core_seconds"], float)
    assert state["core_seconds"] >= 0.3


def test_shares_are_of_all_cores_time() -> None:
    before, after = Usage(100.0, 40.0, 10.0, 1.0), Usage(102.0, 41.5, 10.5, 1.1)
    assert after.share_since(before, lambda usage: usage.busy - usage.own) == 50.0
    assert after.share_since(before, lambda usage: usage.stolen) == 5.0
    assert before.share_since(before, lambda usage: usage.busy) is None
