"""Prints a Review as Markdown, for a job's summary or a comment: the verdict, the cards, the ratios, the failures."""

from __future__ import annotations

import re

from reports.review import Review
from reports.sections.base import Section
from reports.sections.noise_floor import DIFFER
from reports.visible import visible
from reports.words import Sentence, plain, ratio

ROWS = 24
"""Rows of a table; GitHub cuts a comment at 64 KB."""
SYMBOL = {"faster": "✓", "slower": "✗", "same": "·", "undecided": "~"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~<>&@-])")


def render_summary(review: Review) -> str:
    """Return the Markdown twin of the page's first screen and findings."""
    parts = [f"# {text(review.title)}", sentence_text(review.answer)]
    parts += [f"> {'' if banner == DIFFER else '**Incomplete.** '}{text(banner)}" for banner in review.banners]
    parts.append("  \n".join(f"**{f.name}**: {text(', '.join(f.lines))}" for f in review.facts if f.lines))
    parts.append(text(plain(review.coverage.text)))
    parts += [_cards(review)] if review.cards else []
    parts += [_finding(section) for section in review.sections[:-3]]
    parts += [_ratios(review)] if review.ratios.blocks else []
    parts += [_failures(review)] if review.coverage.failures else []
    parts.append(f"Again:\n\n```\n{review.provenance.command.replace('```', '')}\n```")
    return visible("\n\n".join(parts)) + "\n"


def text(words: str) -> str:
    """Return `words` as Markdown shows them: on one line, nothing in them marks up."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def sentence_text(parts: Sentence) -> str:
    """Return a sentence as Markdown, what is strong in it as such."""
    return "".join(f"**{text(s.text)}**" if s.mark == "strong" and s.text.strip() == s.text else _kept(plain((s,)))
                   for s in parts)  # fmt: skip


def _kept(words: str) -> str:
    """Escape, and keep the spaces at both ends."""
    lead, tail = words[: len(words) - len(words.lstrip())], words[len(words.rstrip()) :]
    return f"{' ' if lead else ''}{text(words)}{' ' if tail and words.strip() else ''}"


def _cards(review: Review) -> str:
    rows = ["| | | | |", "| --- | --- | --- | --- |"]
    for card in review.cards:
        title = " against ".join(name.text for name in card.title)
        mark = SYMBOL.get(card.word, "")
        number = f"**{text(card.big)}** {text(card.interval)}"
        rows.append(f"| {mark} {text(card.word)} | {number} | {text(title)} | {text(card.text)} |")
    return "\n".join(rows)


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
