"""What every test has where processes share the tests: locks of its own, and threads that do not spin."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from harness.engine.conditions import CONDITIONS

SPIN = "GOMP_SPINCOUNT"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give each process of pytest-xdist a cache folder of its own, since one run at a time holds a device there.

    And let torch's threads wait as those of a worker do: spinning, those of one process hold the cores against those of
    the other, and the tests take twice as long. What the processes that tests start inherit stays as it was.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    os.environ["XDG_CACHE_HOME"] = folder = tempfile.mkdtemp(prefix="moe-harness-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    if SPIN not in os.environ:
        os.environ[SPIN] = CONDITIONS[SPIN]
        import torch  # noqa: F401  # it is now that the variable is read

        del os.environ[SPIN]
