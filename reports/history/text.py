"""Prints a History as Markdown, for a job's summary or a comment: the answer, the changes, what to know of the runs."""

from __future__ import annotations

from reports.history.history import History
from reports.history.words import told, upper
from reports.markdown import sentence_text, text
from reports.words import plain

ROWS = 40
"""Groups of changes that are listed; GitHub cuts a comment at 64 KB."""


def render_summary(history: History) -> str:
    """Return the Markdown twin of the page's findings."""
    stops = history.runs.stops
    parts = [f"# {text(history.title)}", sentence_text(history.answer)]
    parts.append("  \n".join(f"**{fact.name}**: {text(', '.join(fact.lines))}" for fact in history.facts))
    if found := history.changes.groups:
        listed = [f"- {group.word}: {sentence_text(upper(told(group, stops)))}" for group in found[:ROWS]]
        more = [f"- and {len(found) - ROWS} more in the report"] if len(found) > ROWS else []
        parts.append("\n".join(["Changes, what is worse first:\n", *listed, *more]))
    parts.append(f"**Runs.** {sentence_text(history.runs.finding)}")
    notes = [f"- {text(stop.phrase)}: {text('; '.join(stop.told))}" for stop in stops if stop.told]
    parts += ["\n".join(notes)] if notes else []
    parts.append(text(plain(history.changes.caption)))
    return "\n\n".join(parts) + "\n"
