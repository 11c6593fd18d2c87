"""The gallery's words: a page for each kept run, with the sentence that each section states, and a page of pages."""

from __future__ import annotations

from collections.abc import Sequence

from harness.declare.policy import USUAL
from harness.metrics import show_bytes
from reports.markdown import sentence_text, text
from reports.read import read_run
from reports.review import VERSUS, Review, review
from reports.sections.base import Section
from reports.sections.provenance import when
from reports.versus.gate import judge
from reports.versus.text import markdown
from reports.words import plain
from tests.gallery.pictures import FIRST, picture_name
from tests.gallery.reference import Kept

PURPOSE = {
    "quick": "What `harness run quick` gives on a small machine: the run of the README's picture, and the one in which "
    "the reader's test looks for its answer.",
    "determinism": "What changes a row's bits, and why; no time is in it, so that a busy machine could make it.",
    "planted": "A baseline and a candidate in which Soft MoE's forward pass was made 10 % slower on purpose, measured "
    "side by side: what `harness compare` must find, and nothing else.",
}
"""Name: what a kept run is for."""
TOP = (
    "# Gallery\n\nReal runs that this repository keeps ([docs/reference](reference/README.md)), "
    "as today's harness reports them."
)
BY = "Written by `nox -s gallery`."


def index(runs: Sequence[Kept]) -> str:
    """Return docs/gallery.md: every kept run with its answer, and the way to its page."""
    parts = [f"{TOP} {BY}"]
    for kept in runs:
        made = reviewed(kept)
        parts += [f"## [{kept.name}](gallery/{kept.name}.md): {text(made.title)}", PURPOSE[kept.name], _facts(kept)]
        if kept.paired:
            parts.append(f"[What became of it](gallery/{kept.name}.md), case by case.")
        else:
            parts += [sentence_text(made.answer), _picture(f"gallery/{kept.name}", FIRST, "The first screen")]
            links = (f"[{s.name}](gallery/{kept.name}.md#{_anchor(s)})" for s in made.sections)
            parts.append(f"Its sections: {', '.join(links)}.")
    return _document(parts)


def page(kept: Kept) -> str:
    """Return docs/gallery/NAME.md: a kept run, section by section; of a pair what became of the baseline."""
    made = reviewed(kept)
    parts = [f"# {kept.name}: {text(made.title)}", f"{PURPOSE[kept.name]} {BY}", _facts(kept)]
    parts += [sentence_text(made.answer), _picture(kept.name, FIRST, "The first screen")]
    for section in _sections(kept, made):
        parts += _section(kept, section)
    if kept.paired:
        base, candidate = (read_run(run) for run in kept.runs)
        parts.append(f"#{markdown(judge(base, candidate, USUAL).versus).strip()}")  # its title, one level lower
    return _document(parts)


def table(runs: Sequence[Kept]) -> str:
    """Return what is kept as a table: on what machine, when, by which code and command, and what for."""
    rows = [
        "| run | device | measured | harness | command | size | for |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kept in runs:
        document = kept.document
        facts = [text(document["device"]["name"]), when(document["started"]), f"`{_commit(document)}`",
                 f"`{document['command']}`", show_bytes(kept.size), PURPOSE[kept.name]]  # fmt: skip
        rows.append(f"| [{kept.name}]({kept.name}) | {' | '.join(facts)} |")
    return "\n".join(rows)


def reviewed(kept: Kept) -> Review:
    """Return the Review of a kept run; of a pair the candidate's, held against its baseline."""
    return review(read_run(kept.runs[-1]), read_run(kept.runs[0]) if kept.paired else None)


def drawn(kept: Kept) -> list[str]:
    """Return the sections of which there is a picture: those that have something to show, of a pair what compares."""
    return [section.id for section in _sections(kept, reviewed(kept)) if section.missing is None]


def _sections(kept: Kept, made: Review) -> Sequence[Section]:
    return [section for section in made.sections if section.id in VERSUS or not kept.paired]


def _section(kept: Kept, section: Section) -> list[str]:
    parts = [f"## {section.name}", f"*{text(section.question)}* {sentence_text(section.finding)}"]
    if section.missing is not None:
        return [*parts, text(section.missing)]
    return [*parts, _picture(kept.name, section.id, plain(section.finding))]


def _picture(folder: str, section: str, alt: str) -> str:
    light, dark = (f"{folder}/{picture_name(section, scheme)}" for scheme in ("light", "dark"))
    words = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'<img src="{light}" alt="{words}"></picture>'
    )


def _facts(kept: Kept) -> str:
    document = kept.document
    device, torch = document["device"]["name"], document["environment"].get("torch", "unknown")
    return (
        f"{text(device)}, torch {text(torch)}, {when(document['started'])}, harness `{_commit(document)}`, "
        f"`{document['command']}`"
    )


def _commit(document: dict[str, dict[str, str | None]]) -> str:
    return str(document["harness"]["commit"] or document["harness"]["version"])[:7]


def _anchor(section: Section) -> str:
    """Return the heading's anchor as GitHub makes it."""
    return section.name.lower().replace(" ", "-")


def _document(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"
