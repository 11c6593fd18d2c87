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

    rows = []
    try:
        for name in shipped_suites():
            suite = load_suite(name)
            rows.append({"name": name, "title": suite.title, "cases": len(plan(suite).cases)})
    except SuiteError as error:
        fail(Exit.USAGE, str(error))
    if json_:
        document({"schema": 1, "suites": rows})
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        out(f"{row['name']:{width}}  {row['cases']:5} cases  {row['title']}")
