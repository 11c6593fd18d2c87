"""The page of figures that the fault suite, the fuzzing and the soak keep: each writes its own section."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from harness.devices.names import cpu_name
from harness.engine.environment import environment


def write_section(page: Path, name: str, body: str) -> None:
    """Replace what stands between the marks of `name` on `page`, and say when and on what machine it was seen.

    Raises:
        ValueError: The page has no such marks.
    """
    begin, end = f"<!-- {name}: written by `nox -s {name}` -->", f"<!-- end of {name} -->"
    text = page.read_text("utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page} has no section {begin}")
    section = f"{begin}\n{seen_on()}\n\n{body.strip()}\n{end}"
    page.write_text(pattern.sub(lambda _: section, text), "utf-8")


def seen_on() -> str:
    """Return the day and the machine, without its name: `Seen on 2026-01-31: AMD EPYC 7763, 2 cores, ...`."""
    facts = environment()
    machine = f"{cpu_name()}, {facts['os']}, Python {facts['python']}, torch {facts['torch']}"
    return f"Seen on {datetime.now(UTC):%Y-%m-%d}: {machine}."


def markdown_table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return `rows`, the first of them the head, as a table whose numbers stand to the right."""
    head, *body = rows
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def plain_table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return `rows` as columns for a terminal."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in lines)
