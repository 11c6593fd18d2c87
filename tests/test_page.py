from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from reports import render
from reports.markup.assets import STYLES, asset, plotly_js, styles
from reports.markup.environment import environment
from reports.markup.packed import packed, unpacked
from reports.markup.texts import between_tags, in_double_quotes, unbroken
from reports.markup.thin import thin
from reports.page import render_page
from reports.read import read_run
from reports.review import review
from reports.words import plain
from tests import fake_run
from tests.noisy_run import write_noisy_run

LARGEST = 200_000
"""Bytes of a page beside the chart library."""
HOSTILE = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """The page's text, headings, links and scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.headings: list[str] = []
        self.links: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.ids: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value] if (value := given.get("id")) else []
        self.links += [str(given[name]) for name in ("href", "src") if name in given]
        self.headings += [tag] if tag in ("h1", "h2", "h3") else []
        if tag in ("script", "style"):
            self._open.append((tag, given))
            if tag == "script":
                self.scripts.append((given, ""))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.text.append(data)
        elif self._open[-1][0] == "script":
            given, text = self.scripts[-1]
            self.scripts[-1] = (given, text + data)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = fake_run.write_run(tmp_path_factory.mktemp("run") / "quick", fake_run.quick_cases())
    return render_page(review(read_run(folder)))


def test_the_page_asks_for_nothing(source: str) -> None:
    links = Page(source).links
    assert links
    # A link is followed by a reader, not fetched.
    beside = [link for link in links if link.startswith("method.html") or link in ("records.jsonl", "journal.jsonl")]
    assert all(link.startswith("#") or link == "data:," for link in links if link not in beside)
    own = source.replace(plotly_js(), "")
    assert "http://" not in own
    assert "https://" not in own


def test_the_policy_allows_exactly_the_pages_own_scripts(source: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', source)
    assert policy is not None
    allowed = set(re.findall(r"sha256-[A-Za-z0-9+/=]+", policy[1].replace("&#43;", "+")))
    run = [text for given, text in Page(source).scripts if given.get("type") is None]
    assert allowed == {f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}" for text in run}
    assert "default-src 'none'" in policy[1]
    assert "unsafe-eval" not in policy[1]


def test_every_figure_has_its_place_and_its_json(source: str) -> None:
    page = Page(source)
    figures = list(unpacked(source)["figures"])
    fronts = ["fig-latency-params", "fig-latency-flops", "fig-memory-params", "fig-energy-params"]
    assert figures == [
        *fronts,
        "fig-experts",
        "fig-slots",
        "fig-batch",
        "fig-size",
        "fig-roofline",
        "fig-prediction",
        "fig-predicted",
    ]
    assert set(figures) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_headings_are_in_order(source: str) -> None:
    headings = Page(source).headings
    assert headings.count("h1") == 1
    assert headings[0] == "h1"
    assert headings.count("h2") == source.count("<section id=") > 5


def test_sections_without_data_stand_close_and_the_others_do_not(source: str, tmp_path: Path) -> None:
    made = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases()[:1])))
    page = render_page(made)
    off = re.findall(r"<section id=(\w+) class=off>", page)
    assert off == [section.id for section in made.sections if section.missing]
    assert {"ratios", "winners"} < {*off}
    assert "<section id=ratios>" in source
    assert "section.off+.off{" in styles()
    assert "The table of 1 case is left off paper" in page


def test_means_have_a_heading_of_their_own(source: str) -> None:
    heading = "<tr class=grp><td colspan=6>Over all settings, geometric means"
    assert source.count(heading) == 1
    assert source[source.index(heading) + len(heading) :].startswith("<tr class=mean>")


def test_style_sheets_lose_only_what_is_idle() -> None:
    assert "/*" not in styles()
    assert "\n" not in styles()
    assert styles().count("{") == styles().count("}") == sum(asset(name).count("{") for name in STYLES)


def test_the_cloud_button_is_off() -> None:
    assert "showSendToCloud: false" in asset("boot.js")


def test_everything_is_escaped_by_default() -> None:
    assert environment().from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    assert str(unbroken("<top-2>")) == '&lt;<span class="nb">top-2</span>&gt;'


def test_a_second_render_has_the_same_bytes(tmp_path: Path) -> None:
    folder = fake_run.write_run(tmp_path / "run", fake_run.quick_cases())
    first = render(folder, html=tmp_path / "report.html")
    before = [path.read_bytes() for path in (first.html, first.summary, first.data)]
    second = render(folder, html=tmp_path / "report.html")
    assert before == [path.read_bytes() for path in (second.html, second.summary, second.data)]


def test_the_body_loses_only_what_html_implies() -> None:
    row = '<tr class="a b"><td class="n">1</td>\n<td x="5%"/>a="b" > c</td></tr>\n <tr>'
    page = f'<i class="a"><main>{row}<footer><i class="a">'
    thinner = '<i class="a"><main><tr class="a b"><td class=n>1<td x=5% />a="b" > c<tr><footer><i class="a">'
    assert thin(page) == thinner


def test_the_page_stays_small(source: str) -> None:
    assert len(source.encode()) < 6_000_000
    assert own_bytes(source) < LARGEST


def test_the_page_of_a_noisy_run_stays_small(tmp_path: Path) -> None:
    """Every case has notes, as in the real run of 144 cases on a busy CPU whose page has 185 kB beside the library."""
    noisy = write_noisy_run(tmp_path / "quick")
    assert own_bytes(render_page(review(read_run(noisy)))) < LARGEST


def test_the_page_of_the_run_that_the_repository_keeps_stays_small() -> None:
    kept = Path(__file__).parent.parent / "docs" / "reference" / "quick"
    assert own_bytes(render_page(review(read_run(kept)))) < LARGEST


def test_quotes_stay_quotes_where_html_allows_them() -> None:
    hostile = "</pre>\"&<b a='1'>"
    assert between_tags(hostile) == "&lt;/pre&gt;\"&amp;&lt;b a='1'&gt;"
    assert in_double_quotes(hostile) == "&lt;/pre&gt;&#34;&amp;&lt;b a='1'&gt;"


def own_bytes(page: str) -> int:
    return len(page.encode()) - len(plotly_js().encode())


def test_what_is_packed_is_the_same_each_time_and_comes_out_again() -> None:
    data = {"<figure>": [1, None, "größer"]}
    page = f'<script type="application/gzip" id="packed">{packed(data)}</script>'
    assert packed(data) == packed(data)
    assert unpacked(page) == data
    assert unpacked("<p>nothing") is None


def hostile_run(folder: Path) -> Path:
    """Return a run with the hostile text in every field that a suite, a host or an exception can carry."""
    cases = [fake_run.make_case(HOSTILE, "soft", experts=experts) for experts in (4, 8)]
    cases += [fake_run.make_case("dense" + HOSTILE, "dense"), fake_run.make_case("bad", "token_choice", experts=8)]

    def edit(case: Case, record: dict[str, Any]) -> dict[str, Any]:
        record["notes"], record["backend"] = [HOSTILE], HOSTILE
        if case.layer == "token_choice":
            return fake_run.fail(record, "crashed", HOSTILE)
        record["metrics"]["det_run_cause"] = {"value": HOSTILE}
        return record

    top = fake_run.run_file(cases)
    top["suite"] |= {"title": HOSTILE, "name": HOSTILE, "source": HOSTILE, "overrides": [HOSTILE], "select": HOSTILE}
    top |= {
        "device": {"kind": HOSTILE, "name": HOSTILE, HOSTILE: HOSTILE},
        "environment": {"hostname": HOSTILE, "variables": {HOSTILE: HOSTILE}},
        "harness": {"version": HOSTILE, "commit": HOSTILE, "dirty": True, "source": HOSTILE},
        "command": HOSTILE,
        "started": HOSTILE,
        "finished": HOSTILE,
    }
    return fake_run.write_run(folder, cases, edit=edit, **{key: value for key, value in top.items() if key != "cases"})


def test_hostile_text_is_text(tmp_path: Path) -> None:
    source = render_page(review(read_run(hostile_run(tmp_path / "run"))))
    page = Page(source)
    assert len([1 for given, _ in page.scripts if given.get("type") is None]) == 4
    assert HOSTILE not in source
    assert "".join(page.text).count("alert(1)") > 20


@pytest.mark.parametrize(
    "edit",
    [
        lambda _, record: fake_run.fail(record, "oom", "too large"),
        lambda _, record: None,
        lambda _, record: fake_run.without(record, "latency"),
        lambda _, record: fake_run.without(record, "memory"),
        lambda _, record: fake_run.without(record, "det_", "phase_", "load_"),
        lambda _, record: fake_run.without(record, ""),
    ],
    ids=["all out of memory", "no record", "no latency", "no memory", "latency and memory alone", "no metric"],
)
def test_whatever_is_missing_the_page_stands(tmp_path: Path, edit: fake_run.Edit) -> None:
    made = review(read_run(fake_run.write_run(tmp_path / "run", fake_run.quick_cases(), edit=edit)))
    page = Page(render_page(made))
    text = " ".join("".join(page.text).split())
    assert plain(made.answer) in text
    assert page.headings.count("h2") == len(made.sections)
    for section in made.sections:
        assert section.missing is None or section.missing in text


@pytest.mark.parametrize("cases", [[], [fake_run.make_case("soft", "soft", experts=8)]], ids=["none", "one"])
def test_few_cases(tmp_path: Path, cases: list[Case]) -> None:
    made = review(read_run(fake_run.write_run(tmp_path / "run", cases)))
    assert plain(made.answer) in " ".join("".join(Page(render_page(made)).text).split())
