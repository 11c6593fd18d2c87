"""`harness suites`: what is at hand."""

from __future__ import annotations

from harness.cli.console import document, fail, out
from harness.cli.exits import Exit
from harness.cli.options import JsonOption


def suites(json_: JsonOption = False) -> None:
    """List the suites at hand, one line each, with their number of cases."""
    from harness.declare.plan import plan
    from harness.declare.shipped import shipped_suites
    from harness.declare.suite import SuiteError, load_suite

    rows: list[tuple[str, int, str]] = []
    try:
        for name in shipped_suites():
            suite = load_suite(name)
            rows.append((name, len(plan(suite).cases), suite.title))
    except SuiteError as error:
        fail(Exit.USAGE, str(error))
    if json_:
        document({"schema": 1, "suites": [dict(zip(("name", "cases", "title"), row, strict=True)) for row in rows]})
        return
    width = max(len(name) for name, _, _ in rows)
    for name, cases, title in rows:
        out(f"{name:{width}}  {cases:5} cases  {title}")
