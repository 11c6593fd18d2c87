"""Prints a Review as Markdown, for a job's summary or a comment: the verdict, the cards, the ratios, the failures."""

from __future__ import annotations

from collections.abc import Sequence

from reports.against.entries import Entry
from reports.against.regressions import Regressions
from reports.markdown import sentence_text, text
from reports.review import Review
from reports.sections.base import Section
from reports.sections.cards import Card
from reports.sections.noise_floor import DIFFER
from reports.versus.text import SYMBOLS
from reports.visible import visible
from reports.words import plain, ratio

FIRST = 10
"""Rows of each group of changes."""
ROWS = 24
"""Rows of a table; GitHub cuts a comment at 64 KB."""
UNSAID = ("cases", "provenance", "glossary")
"""Sections whose findings say nothing of the layers."""
SYMBOL = {"faster": "✓", "slower": "✗", "same": "·", "undecided": "~"}


def render_summary(review: Review) -> str:
    """Return the Markdown twin of the page's first screen and findings."""
    parts = [f"# {text(review.title)}", sentence_text(review.answer)]
    parts += [f"> {'' if banner == DIFFER else '**Incomplete.** '}{text(banner)}" for banner in review.banners]
    parts.append("  \n".join(f"**{f.name}**: {text(', '.join(f.lines))}" for f in review.facts if f.lines))
    parts.append(text(plain(review.coverage.text)))
    parts += [_cards(review.against.cards), _regressions(review.against.regressions)] if review.against else []
    parts += [_cards(review.cards)] if review.cards else []
    parts += [text(review.extract)] if review.extract else []
    parts += [_finding(section) for section in review.sections if section.id not in UNSAID]
    parts += [_ratios(review)] if review.ratios.blocks and review.shows("ratios") else []
    parts += [_failures(review)] if review.coverage.failures else []
    parts.append(f"Again:\n\n```\n{review.provenance.command.replace('```', '')}\n```")
    return visible("\n\n".join(parts)) + "\n"


def _cards(cards: Sequence[Card]) -> str:
    rows = ["| | | | |", "| --- | --- | --- | --- |"]
    for card in cards:
        title = " against ".join(name.text for name in card.title)
        mark = (SYMBOLS | SYMBOL).get(card.word, "")
        number = f"**{text(card.big)}** {text(card.interval)}"
        rows.append(f"| {mark} {text(card.word)} | {number} | {text(title)} | {text(card.text)} |")
    return "\n".join(rows)


def _regressions(section: Regressions) -> str:
    """Return the first cases of each group that is not folded; empty where nothing changed."""
    head = ["| case | what | baseline | candidate | ratio | |", "| --- | --- | --- | --- | --- | --- |"]
    open_ = [group for group in section.groups if not group.folded]
    lines = [_entry(entry) for group in open_ for entry in group.entries[:FIRST]]
    left = sum(len(group.entries[FIRST:]) for group in open_)
    more = [f"\n{left} more rows stand in the report."] if left else []
    quiet = [f"\n{text(group.title)}." for group in section.groups if group.folded]
    return "\n".join(
        [*(head if lines else []), *lines, *more, *quiet, f"\n{text(section.drift)} {text(section.noise)}"]
    )


def _entry(entry: Entry) -> str:
    """Return one row: a time's two numbers, or in words what became of a case."""
    told = "; ".join([*([entry.why] if entry.why else []), *(f"{one.name}: {one.text}" for one in entry.numbers)])
    number = sentence_text(ratio(entry.ratio.value, entry.ratio)) if entry.ratio else ""
    cells = (entry.subject.id, entry.name or told[:300], entry.base, entry.candidate)
    return f"| {' | '.join(map(text, cells))} | {number} | {SYMBOLS[entry.verdict]} {entry.verdict} |"


def _finding(section: Section) -> str:
    return f"**{section.name}.** {sentence_text(section.finding)}" + (
        f" {text(section.missing)}" if section.missing else ""
    )


def _ratios(review: Review) -> str:
    block = review.ratios.blocks[0]
    head = ["| candidate | reference | FLOPs | time ratio | |", "| --- | --- | --- | --- | --- |"]
    lines = [
        f"| {text(row.candidate.phrase)} | {text(row.reference.phrase)} | {text(row.budget)} "
        f"| {sentence_text(ratio(row.value, row.interval))} | {SYMBOL[row.verdict]} {row.verdict} |"
        for row in block.rows[:ROWS]
    ]
    left = len(block.rows) - len(lines)
    more = [f"\n{left} more rows stand in the report."] if left > 0 else []
    return "\n".join([f"Key ratios, {text(block.where)}:\n", *head, *lines, *more])


def _failures(review: Review) -> str:
    failures = review.coverage.failures
    lines = [f"- {text(f.subject.id)}: {f.status}, {text(f.reason)[:400]}" for f in failures[:ROWS]]
    left = len(failures) - len(lines)
    more = [f"- and {left} more"] if left > 0 else []
    return "\n".join(["Cases without numbers:\n", *lines, *more])
