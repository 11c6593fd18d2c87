"""The README's commands are the ones that CI runs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _commands() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)]


def test_the_first_two_commands_do_all_of_the_set_up() -> None:
    report, tests = _commands()[:2]
    assert report.startswith("python3 -m venv")
    assert report.endswith("harness run quick")
    assert tests.startswith("python3 -m venv")
    assert tests.endswith("nox -s tests")


def test_ci_runs_the_test_command_word_for_word() -> None:
    assert _commands()[1] in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_every_linked_file_is_there() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    links += re.findall(r'src(?:set)?="([^"]+)"', text)
    assert links
    for link in links:
        assert (ROOT / link).stat().st_size > 0, link
