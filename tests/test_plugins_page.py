"""docs/plugins.md: its example is run as it stands on the page."""

from __future__ import annotations

import re
from pathlib import Path

from harness.engine.folder import read_run
from harness.record import OkRecord
from tests.test_cli import cache, harness

__all__ = ["cache"]  # a fixture: this device's ceilings are at hand

PAGE = Path(__file__).parent.parent / "docs" / "plugins.md"


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    blocks = dict(reversed(re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)))  # the first of each language
    (tmp_path / "bottleneck.py").write_text(blocks["python"])
    (tmp_path / "bottleneck.toml").write_text(blocks["toml"])
    program, *arguments = blocks["sh"].split()
    assert program == "harness"
    done = harness(*arguments, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = read_run(tmp_path / "out").records
    assert [(record.variant, record.status) for record in records] == [("bottleneck", "ok")] * 2 + [("dense", "ok")] * 2
    mine = records[0]
    assert isinstance(mine, OkRecord)
    products = 64 * 16 + 16 * 256 + 256 * 64
    assert mine.metrics["params"].value == products + 16 + 256 + 64
    assert mine.metrics["flops_counted"].value == 2 * 4 * 32 * products


def test_what_the_example_cannot_do_is_said_in_its_words(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    python, toml = (re.search(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL) for kind in ("python", "toml"))
    assert python
    assert toml
    (tmp_path / "bottleneck.py").write_text(python[1])
    (tmp_path / "bottleneck.toml").write_text(toml[1])
    options = ("-o", "out", "--set", "d_model=30", "--select", "variant == 'bottleneck'")
    done = harness("run", "bottleneck.toml", *options, cwd=tmp_path)
    assert done.returncode == 3, "no case has numbers"
    assert "bottleneck needs d_model to be a multiple of 4, and 30 is not" in done.stderr
