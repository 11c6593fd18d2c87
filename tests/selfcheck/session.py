"""`nox -s selfcheck`: what the harness promises of its numbers, checked on this machine and kept.

python -m tests.selfcheck.session [--keep PAGE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.engine.locks import Busy
from harness.engine.selfcheck import QUICK, Failed, Size, check, rows
from tests.reliability import markdown_table, plain_table, write_section


def main(arguments: list[str] | None = None) -> int:
    """Check, print and keep; return 1 where a target was missed, 3 where something could not be measured."""
    parser = argparse.ArgumentParser(description="Check what the harness promises of its numbers, on this machine.")
    parser.add_argument("--quick", action="store_true", help="a few seconds; the figures mean nothing")
    parser.add_argument("--keep", type=Path, help="write the table to this page")
    options = parser.parse_args(arguments)
    try:
        figures = check(QUICK if options.quick else Size())
    except (Busy, Failed) as error:
        print(f"harness: {error}", file=sys.stderr)
        return 3
    table = rows(figures)
    print(plain_table(table))
    if options.keep is not None:
        write_section(options.keep, "selfcheck", markdown_table(table))
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
