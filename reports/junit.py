"""Prints a Review as JUnit XML: a test a case and a test a claim, so that a CI server shows which failed, and why."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from reports import testsuite
from reports.outcomes import Outcome
from reports.results import ResultStatus
from reports.review import Review
from reports.sections.claims import Row
from reports.sections.coverage import KINDS
from reports.testsuite import End
from reports.words import plain

ENDS: dict[ResultStatus, End] = {
    "incorrect": "failure",
    "oom": "error",
    "timeout": "error",
    "crashed": "error",
    "unsupported": "skipped",
    "skipped": "skipped",
    "missing": "skipped",
}
"""How the test of a case without numbers ends: a wrong output fails, what broke is in error, the rest was not tried."""


def render_junit(review: Review) -> str:
    """Return the document; the same Review always gives the same bytes."""
    told = {"run": review.run, "harness": review.harness, "answer": plain(review.answer)}
    told |= {"incomplete": " ".join(review.banners)} if review.banners else {}
    left = review.outcomes.left_out
    suite = testsuite.suite(review.title, told | ({"cases left out, all ok": str(left)} if left else {}))
    for outcome in review.outcomes.rows:
        _case(suite, outcome)
    for row in review.claims.rows:
        _claim(suite, row)
    return testsuite.document(suite)


def _case(suite: Xml.Element, outcome: Outcome) -> None:
    test = testsuite.case(suite, outcome.id, f"cases.{outcome.variant}", outcome.numbers)
    if end := ENDS.get(outcome.status):
        reason = outcome.reason or "no reason given"
        first = next(iter(reason.splitlines()), reason)
        testsuite.ended(test, end, outcome.status, f"{KINDS[outcome.status]}: {first}", reason)


def _claim(suite: Xml.Element, row: Row) -> None:
    one = row.decided
    known = {"verdict": one.verdict, "seen": row.estimate, "metric": one.metric, "cases": one.cases}
    known |= {"source": one.source, "group": one.group}
    test = testsuite.case(suite, one.id, "claims", {name: value for name, value in known.items() if value is not None})
    if one.verdict == "refuted":
        testsuite.ended(test, "failure", one.verdict, f"{one.text} Seen here: {row.estimate}", ", ".join(one.rows))
    elif one.verdict == "undecided":
        testsuite.ended(test, "skipped", one.verdict, f"{one.text} To decide it: {one.needs}.")
