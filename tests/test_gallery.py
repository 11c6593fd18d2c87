"""The gallery shows every section of the report, of runs that are real, with the words that today's code finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.markdown import sentence_text
from reports.sections.base import METHODS
from tests.gallery.pictures import FIRST, SCHEMES, picture_name
from tests.gallery.reference import HOME, Kept, kept
from tests.gallery.session import DOCS, FOLDER, INDEX, main, pages
from tests.gallery.words import PURPOSE, drawn, reviewed

PICTURE = re.compile(r'src(?:set)?="([^"]+)"')
WORDS = "its words are not today's: run `nox -s gallery` (with -- --words where no picture changes)"
MOST = 2_600_000
"""Bytes of all pictures."""
RUNS = kept()
SINGLE = [one for one in RUNS if not one.paired]
PICTURES = sorted(FOLDER.rglob("*.png"))


def by_name(one: Kept) -> str:
    return one.name


@pytest.fixture(scope="module")
def written() -> dict[Path, str]:
    return pages(RUNS)


@pytest.mark.parametrize("one", SINGLE, ids=by_name)
def test_a_page_names_every_section_and_the_sentence_that_it_states(one: Kept) -> None:
    text = (FOLDER / f"{one.name}.md").read_text("utf-8")
    made = reviewed(one)
    assert len(made.sections) >= 16
    for section in made.sections:
        part = text.partition(f"## {section.name}\n")[2].partition("\n## ")[0]
        assert sentence_text(section.finding) in part, f"{section.name}: {WORDS}"
        assert (section.missing is None) == bool(PICTURE.search(part)), section.name


def test_every_text_is_what_would_be_written_now(written: dict[Path, str]) -> None:
    assert {INDEX, HOME / "README.md"} < set(written)
    for path, text in written.items():
        assert path.read_text("utf-8") == text, f"{path.name}: {WORDS}"


def test_every_section_that_measures_is_drawn_in_some_run() -> None:
    """All but those of several runs, energy, which the machine of the kept runs has no counter for, and exchange, since
    the kept runs spread no layer over ranks."""
    shown = {section for one in RUNS for section in drawn(one)}
    measured = set(METHODS) - {"changes", "trends", "runs", "standings", "table", "frontier", "energy", "exchange"}
    assert measured <= shown


def test_every_picture_is_there_and_none_is_left_over() -> None:
    named: set[Path] = set()
    for page in (INDEX, *FOLDER.glob("*.md"), DOCS.parent / "README.md"):
        named |= {(page.parent / link).resolve() for link in PICTURE.findall(page.read_text("utf-8"))}
    assert named == {path.resolve() for path in PICTURES}
    for one in RUNS:
        for section in (FIRST, *drawn(one)):
            assert all((FOLDER / one.name / picture_name(section, scheme)).is_file() for scheme in SCHEMES)


def test_the_pictures_are_pictures_and_few_bytes() -> None:
    assert sum(path.stat().st_size for path in PICTURES) <= MOST
    for path in PICTURES:
        head = path.read_bytes()[:26]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert 300 <= int.from_bytes(head[16:20]) <= 1280, path


def test_every_kept_run_says_what_it_is_for() -> None:
    assert set(PURPOSE) >= {one.name for one in RUNS}


def test_without_chromium_the_session_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.gallery.session.CHROMIUM", None)
    assert main([]) == 2
    assert "there is no Chromium on the PATH" in capsys.readouterr().err
