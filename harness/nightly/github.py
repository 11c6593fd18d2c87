"""What GitHub Actions takes from a night: the job's summary, and a suite's faults beside their lines."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

SUMMARY = "GITHUB_STEP_SUMMARY"
ACTIONS = "GITHUB_ACTIONS"
_FAULT = re.compile(r"^(?P<file>[^:\s][^:\n]*\.toml):(?P<line>\d+): (?P<words>.+)$", re.MULTILINE)


def tell(summary: str, log: str, say: Callable[[str], object], variables: Mapping[str, str] = os.environ) -> None:
    """Append `summary` to the job's where there is one, and annotate the faults that `log` tells of a suite.

    A summary that cannot be written is said, and costs nothing else.
    """
    if path := variables.get(SUMMARY):
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(summary)
        except OSError as error:
            say(f"harness: {path} ({SUMMARY}) cannot be written: {error.strerror}")
    if variables.get(ACTIONS) == "true":
        for annotation in faults(log):
            say(annotation)


def faults(log: str) -> Iterator[str]:
    """Yield GitHub's command for each fault of a TOML file, which shows it beside its line."""
    for found in _FAULT.finditer(log):
        file, words = (found[name].replace("%", "%25") for name in ("file", "words"))
        yield f"::error file={file.replace(',', '%2C')},line={found['line']}::{words}"
