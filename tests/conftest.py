"""What every test has: where two processes share the tests, each keeps its runs' locks and caches to itself."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give each process of pytest-xdist a cache folder of its own: one run at a time holds a device there."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["XDG_CACHE_HOME"] = folder = tempfile.mkdtemp(prefix="moe-harness-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
