"""Suites: the format read, and every fault of a file said at once, with its line and the nearest valid name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.declare import shipped
from harness.declare.faults import Fault, SuiteError
from harness.declare.shipped import shipped_suites, suite_folder
from harness.declare.suite import load_suite, parse_suite

DENSE = """\
title = "One"
[[variant]]
name = "dense"
layer = "dense"
size = "Ti"
"""


def faults_of(source: str) -> list[Fault]:
    with pytest.raises(SuiteError) as caught:
        parse_suite(source, "one.toml")
    return caught.value.faults


def fault_of(source: str) -> Fault:
    faults = faults_of(source)
    assert len(faults) == 1, [str(fault) for fault in faults]
    assert faults[0].file == "one.toml"
    return faults[0]


def test_a_whole_suite_is_read() -> None:
    suite = parse_suite(
        """
        title = "Equal FLOPs"
        text = "Read me"
        headline = ["dense / top-2", "memory"]
        [base]
        size = "S"
        dtype = "bfloat16"
        [sweep]
        batch = [1, 8]
        pass = ["train"]
        [[variant]]
        name = "top-2"
        layer = "token_choice"
        sweep.experts = { from = 8, to = 32, times = 2 }
        [[variant]]
        name = "dense"
        layer = "dense"
        match = { to = "top-2", on = "flops" }
        [select]
        exclude = ["experts > 16 and batch == 8"]
        [measure]
        probes = ["flops", "latency"]
        rounds = 3
        [[claim]]
        id = "flat"
        text = "It is flat."
        source = "Somebody 2024"
        metric = "latency_ms"
        where = "variant == 'top-2'"
        along = "experts"
        expect = "flat"
        within = 0.1
        """,
        "folder/equal.toml",
    )
    assert suite.name == "equal"
    assert suite.path == Path("folder/equal.toml")
    assert suite.source.lstrip().startswith("title")
    assert [variant.name for variant in suite.variants] == ["top-2", "dense"]
    assert suite.variants[1].match is not None
    assert suite.variants[1].match.model_dump() == {"to": "top-2", "on": "flops"}
    assert suite.measure.model_dump() == {
        "probes": ["flops", "latency"],
        "device_class": [],
        "rounds": 3,
        "precision": None,
        "max_rounds": None,
        "a_a": 2,
        "seconds_per_visit": 0.05,
        "min_samples": 3,
        "energy_seconds": 10.0,
        "timeout": 120.0,
        "seed": 0,
    }
    assert suite.claims[0].within == 0.1


def test_a_fault_reads_as_a_paragraph() -> None:
    fault = Fault("a.toml", 3, "base.bach", "unknown key", "batch", "batch")
    assert str(fault) == "a.toml:3: base.bach: unknown key\n    expected: batch\n    did you mean: batch"
    assert str(Fault("a.toml", None, "", "there is no such file")) == "a.toml: there is no such file"
    later = Fault("a.toml", 9, "x", "later")
    assert str(SuiteError([later, fault])) == f"{fault}\n\n{later}"


FIELDS = [
    ("base.topk = 2", "base.topk", "unknown key", "top_k"),
    ('base.dtype = "float3"', "base.dtype", "'float3' is not known here", "float32"),
    ('sweep.size = ["Ti", "s"]', "sweep.size[1]", "'s' is not known here", "S"),
    ("base.batch = 0", "base.batch", "0 is not possible here", None),
    ("base.batch = -4", "base.batch", "-4 is not possible here", None),
    ("base.tokens = 64.5", "base.tokens", "64.5 is not possible here", None),
    ("base.gated = 1", "base.gated", "1 is not possible here", None),
    ("base.batch = 99999999999", "base.batch", "99999999999 is not possible here", None),
    ("base = 3", "base", "3 is not possible here", None),
    ("sweep.batch = 8", "sweep.batch", "8 is not possible here", None),
    ("sweep.batch = []", "sweep.batch", "an empty list asks for nothing", None),
    ("sweep.batch = [1, true]", "sweep.batch[1]", "True is not possible here", None),
    ("sweep.batch = [1, 8, 1]", "sweep.batch[2]", "1 is used twice; first in line 1", None),
    ("sweep.batch = { from = 1, to = 8 }", "sweep.batch", "a range takes either times or step", None),
    ("sweep.batch = { from = 1, to = 8, times = 2, stepp = 1 }", "sweep.batch.stepp", "unknown key", "step"),
    ('sweep.batch = { from = "1", to = 8, times = 2 }', "sweep.batch.from", "'1' is not possible here", None),
    ("sweep.batch = { from = 1, to = 8, step = inf }", "sweep.batch.step", "inf is not possible here", None),
    ('measure.timeout = "9"', "measure.timeout", "'9' is not possible here", None),
    ("sweep.batch = { from = 0, to = 4, step = 1 }", "sweep.batch.from", "0 is not possible here", None),
    ("sweep.batch = { from = 1, to = 4, step = 1e-320 }", "sweep.batch.step", "1e-320 is not possible here", None),
    ("sweep.batch = { from = 1e-320, to = 4, times = 2 }", "sweep.batch.from", "1e-320 is not possible here", None),
    ("sweep.batch = { from = 1, to = 4, times = 1e308 }", "sweep.batch.times", "1e+308 is not possible here", None),
    (
        "sweep.batch = { from = 1, to = 4, times = 1.0000000000000003 }",
        "sweep.batch",
        "the range holds more than",
        None,
    ),
    ("sweep.batch = { from = 8, to = 4, times = 2 }", "sweep.batch", "the range holds no value", None),
    (
        "sweep.batch = { from = 1, to = 4, times = 1.5 }",
        "sweep.batch",
        "the range gives 1.5, and batch takes whole numbers",
        None,
    ),
    ("sweep.batch = { from = 1, to = 1e8, step = 1 }", "sweep.batch", "the range holds more than 100,000 values", None),
    ('sweep.batch = ["8 * tokns"]', "sweep.batch[0]", "'tokns' is no name here", "tokens"),
    ('base.d_ff = "4 * d_modl"', "base.d_ff", "'d_modl' is no name here", "d_model"),
    ('sweep.routing = ["iid", "zipf:x"]', "sweep.routing[1]", "'zipf:x' is not known here", None),
    ('base.routing = "zipf"', "base.routing", "'zipf' is not known here", None),
    ('measure.probes = ["latncy"]', "measure.probes[0]", "'latncy' is not known here", "latency"),
    ('measure.probes = ["flops", "flops"]', "measure.probes[1]", "'flops' is used twice; first in line 1", None),
    ("measure.probes = []", "measure.probes", "an empty list asks for nothing", None),
    ("measure.seed = -1", "measure.seed", "-1 is not possible here", None),
    ("measure.seed = 9223372036854775808", "measure.seed", "9223372036854775808 is not possible here", None),
    ("measure.rounds = 10001", "measure.rounds", "10001 is not possible here", None),
    ("measure.a_a = -1", "measure.a_a", "-1 is not possible here", None),
    ("measure.precision = 0", "measure.precision", "0 is not possible here", None),
    ("measure.precision = 2", "measure.precision", "2 is not possible here", None),
    ("measure.max_rounds = 9", "measure.max_rounds", "no case has more than `rounds` without a precision", None),
    ("measure = {precision = 0.02, max_rounds = 5}", "measure.max_rounds", "5 is less than `rounds`", None),
    ("measure = {precision = 0.02, rounds = 1}", "measure.rounds", "one round has no interval to be precise", None),
    ("measure.min_samples = 0", "measure.min_samples", "0 is not possible here", None),
    ("measure.min_samples = 10001", "measure.min_samples", "10001 is not possible here", None),
    ("measure.seconds_per_visit = nan", "measure.seconds_per_visit", "nan is not possible here", None),
    ("measure.seconds_per_visit = 0", "measure.seconds_per_visit", "0 is not possible here", None),
    ("measure.timeout = inf", "measure.timeout", "inf is not possible here", None),
    ("measure.timeout = 86401", "measure.timeout", "86401 is not possible here", None),
    ('sweep.routing = ["zipf:100"]', "sweep.routing[0]", "'zipf:100' is not known here", None),
    ("measure.rounds = 2.5", "measure.rounds", "2.5 is not possible here", None),
    ("measures.rounds = 2", "measures", "unknown key", "measure"),
    ('select.exclude = ["exprts > 2"]', "select.exclude[0]", "'exprts' is no name here", "experts"),
    ('select.include = ["batch >"]', "select.include[0]", "'batch >' is no expression: invalid syntax", None),
    ('select.include = ["batch"]', "select.include[0]", "'batch' is neither true nor false", None),
    ("select.exclude = [\"b'x'\"]", "select.exclude[0]", "b'x' has no place in an expression", None),
    ("base.experts = 8", "base.experts", "no layer of this suite has the axis experts", None),
    ("sweep.top_k = [1, 2]", "sweep.top_k", "no layer of this suite has the axis top_k; token_choice would", None),
    ("sweep.linked = [{ batch = [1, 2], tokens = [4] }]", "sweep.linked[0]", "linked axes need as many values", None),
    ("sweep.linked = [{ batch = [1, 2] }]", "sweep.linked[0]", "one axis cannot move together with itself", None),
    ('claim = [{ id = "a", text = "b", metric = "latency" }]', "claim[0].metric", "no metric 'latency'", "latency_ms"),
    ('claim = [{ id = "a", text = "b", along = "expert" }]', "claim[0].along", "no axis 'expert'", "experts"),
    ('claim = [{ id = " ", text = "b" }]', "claim[0].id", "' ' is not possible here", None),
    ('claim = [{ id = "a", text = "b", within = inf }]', "claim[0].within", "inf is not possible here", None),
    (
        'claim = [{ id = "a", text = "b", where = "batch" }]',
        "claim[0].where",
        "'batch' is neither true nor false",
        None,
    ),
    ('claim = [{ id = "a", text = "b", where = "size = 1" }]', "claim[0].where", "is no expression", None),
    ('headline = ["dens / dense"]', "headline[0]", "'dens' is not known here", "dense"),
    ('headline = ["memroy"]', "headline[0]", "'memroy' is not known here", "memory"),
]


@pytest.mark.parametrize(("line", "key", "message", "nearest"), FIELDS, ids=[field[0] for field in FIELDS])
def test_a_fault_names_its_place_and_the_nearest_name(line: str, key: str, message: str, nearest: str | None) -> None:
    fault = fault_of(f"{line}\n{DENSE}")
    assert (fault.key, fault.line) == (key, 1)
    assert message in fault.message
    assert fault.nearest == nearest
    assert fault.expected


VARIANTS = [
    ("topk = 2", "unknown key", "top_k"),
    ("top_k = 2", "dense has no axis top_k", None),
    ("sweep.slots = [1]", "dense has no axis slots", None),
    ("batch = 1\nsweep.batch = [1, 2]", "batch is both fixed and swept in this variant", None),
    ("d_model = 64", "size gives d_model already", None),
    ('match = { to = "dense", on = "flops" }', "a variant cannot match itself", None),
    ('match = { to = "dens", on = "flops" }', "there is no variant 'dens'", None),
    ('match = { to = "dense", on = "flop" }', "'flop' is not known here", "flops"),
    ('match = { to = "dense" }', "on is missing", None),
    ("heads = 5", "dense: heads = 5 does not divide d_model = 192", None),
    ('activation = "swiglu"\ngated = false', "swiglu is gated", None),
    ('d_ff = "experts * 64"', "dense has no axis experts, which 'experts * 64' needs", None),
    ('batch = "tokens"\ntokens = "batch"', "axes are derived from each other", None),
    ('batch = "tokens / 3"', "dense: 'tokens / 3' is 65.33333333333333 where tokens = 196", None),
    ('batch = "tokens - 196"', "'tokens - 196' is 0 where tokens = 196", None),
    ('batch = "9**9**9**9"', "gives no value: the power is too large", None),
    ('batch = "tokens // 0"', "gives no value where tokens = 196", None),
]


@pytest.mark.parametrize(("lines", "message", "nearest"), VARIANTS, ids=[variant[0] for variant in VARIANTS])
def test_a_variants_fault_stands_at_its_line(lines: str, message: str, nearest: str | None) -> None:
    fault = fault_of(DENSE + lines)
    assert fault.line in (6, 7)
    assert fault.key.startswith("variant[0]")
    assert message in fault.message
    assert fault.nearest == nearest


SPARSE = """\
title = "Two"
base.size = "Ti"
[[variant]]
name = "top"
layer = "token_choice"
experts = 4
[[variant]]
name = "dense"
layer = "dense"
"""

PAIRS = [
    ("experts = 4", "experts = 1", 6, "top: top_k = 2 is above experts = 1"),
    (
        "experts = 4",
        "sweep.experts = [1, 2, 4]\nsweep.top_k = [1, 4]",
        7,
        "top: top_k = 4 is above experts = 1 (and in 1",
    ),
    ("experts = 4", "", 3, "top needs experts"),
    ('base.size = "Ti"', "", 3, "top needs d_model"),
    ('base.size = "Ti"', "base.d_model = 64", 3, "top needs d_ff"),
    ('name = "dense"', 'name = "top"', 8, "'top' is used twice; first in line 4"),
    ('name = "dense"', "", 7, "name is missing"),
    ('name = "dense"', 'name = "den se"', 8, "'den se' is not known here"),
    ('layer = "token_choice"', 'layer = "token-choice"', 5, "'token-choice' is not known here"),
    ('layer = "dense"', 'layer = "dense"\nmatch = { to = "top-1", on = "flops" }', 10, "there is no variant 'top-1'"),
    ('layer = "dense"', 'layer = "dense"\nd_ff = 8\nmatch = { to = "top", on = "flops" }', 10, "match solves d_ff"),
    (
        'layer = "dense"',
        'layer = "dense"\nbatch = 3\nmatch = { to = "top", on = "flops" }',
        11,
        "top has no case where d_model = 192, batch = 3, tokens = 196, float32, forward",
    ),
    (
        'layer = "token_choice"',
        'layer = "token_choice"\nmatch = { to = "dense", on = "params" }\nd_model = 1024',
        6,
        "dense has no case where d_model = 1024",
    ),
    (
        'layer = "token_choice"\nexperts = 4',
        'layer = "token_choice"\nexperts = 4096\nmatch = { to = "dense", on = "params" }',
        7,
        "top cannot match dense: even with d_ff = 8 it costs",
    ),
    (
        'layer = "token_choice"',
        'layer = "expert_choice"\ncapacity_factor = "dropless"',
        6,
        "expert choice cannot be dropless",
    ),
    ("experts = 4", "experts = 4\n[select]\nexclude = ['batch == 8']", 7, "no case is left"),
    ("experts = 4", "experts = 4\n[select]\nexclude = [\n  'experts > 5',\n  'size == 8']", 10, "a number with a text"),
    ("experts = 4", "experts = 4\ncapacity_factor = 0.0001", 7, "0.0001 is not possible here"),
    ("experts = 4", "experts = 4\ncapacity_factor = 1e308", 7, "1e+308 is not possible here"),
    ("experts = 4", "experts = 4\ncapacity_factor = nan", 7, "nan is not possible here"),
    ("experts = 4", "experts = 4\ncapacity_factor = '(2**64)**64'", 7, "is 104438888"),
    (
        'experts = 4\n[[variant]]\nname = "dense"\nlayer = "dense"',
        'experts = 1_000_000_000\n[[variant]]\nname = "dense"\nlayer = "dense"\nmatch = { to = "top", on = "params" }',
        10,
        "dense cannot match top: it would take d_ff = 768,997,402,600 (params)",
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), PAIRS, ids=[pair[3] for pair in PAIRS])
def test_faults_that_only_a_whole_suite_shows(old: str, new: str, line: int, message: str) -> None:
    fault = faults_of(SPARSE.replace(old, new))[0]
    assert message in fault.message
    assert fault.line == line or not line
    assert fault.expected


def test_matches_in_a_circle_are_refused() -> None:
    source = SPARSE.replace('"token_choice"', '"token_choice"\nmatch = { to = "dense", on = "flops" }')
    faults = faults_of(source + 'match = { to = "top", on = "flops" }')
    assert [fault.line for fault in faults] == [6, 11]
    assert "the matches go in a circle: top -> dense -> top" in faults[0].message


def test_all_faults_of_a_file_are_said_at_once() -> None:
    faults = faults_of(
        """\
titel = "Two"
[base]
size = "XL"
[sweep]
batch = [1, 0]
[[variant]]
name = "top"
layer = "token_choice"
experts = 2
top_k = 4
[[variant]]
name = "soft"
layer = "soft"
experts = "8"
slot = 2
[[variant]]
name = "soft"
layer = "dense"
match = { to = "tpo", on = "flops" }
[select]
exclude = ["experts >> 2"]
"""
    )
    assert [(fault.line, fault.key) for fault in faults] == [
        (None, ""),
        (1, "titel"),
        (3, "base.size"),
        (5, "sweep.batch[1]"),
        (15, "variant[1].slot"),
        (17, "variant[2].name"),
        (19, "variant[2].match.to"),
        (21, "select.exclude[0]"),
    ]


def test_sound_variants_are_expanded_beside_broken_ones() -> None:
    faults = faults_of(
        SPARSE.replace("experts = 4", "experts = 1").replace('layer = "dense"', 'layer = "dense"\nslot = 2')
    )
    assert [fault.key for fault in faults] == ["variant[0].experts", "variant[1].slot"]


def test_a_variant_without_its_layer_hides_no_other_fault() -> None:
    faults = faults_of(
        SPARSE.replace('layer = "token_choice"\n', "") + 'match = { to = "top", on = "flops" }\nbach = 1'
    )
    assert [(fault.line, fault.message) for fault in faults] == [(3, "layer is missing"), (10, "unknown key")]


TOML = [
    ("title = ", 1, "Invalid value"),
    ('title = "One"\nbase = {', 2, "this is not TOML"),
    ('title = "One"\ntitle = "Two"\n', 2, "Cannot overwrite a value"),
    ("\n\n[base\n", 3, "Expected ']'"),
]


@pytest.mark.parametrize(("source", "line", "message"), TOML)
def test_broken_toml_has_its_line(source: str, line: int, message: str) -> None:
    fault = fault_of(source)
    assert fault.line == line
    assert message in fault.message


def test_an_empty_file_lacks_title_and_variant() -> None:
    assert [fault.message for fault in faults_of("")] == ["title is missing", "variant is missing"]


def test_toml_that_python_cannot_hold_is_a_fault() -> None:
    assert "nested too deeply" in fault_of(f"a = {'[' * 5000}{']' * 5000}").message
    assert "cannot be read as TOML" in fault_of(f"a = {'9' * 5000}").message


@pytest.mark.parametrize("depth", [40, 200, 500, 2000])
@pytest.mark.parametrize("form", ["dotted", "header", "lists", "tables"])
def test_what_is_nested_deeply_is_one_sentence(form: str, depth: int) -> None:
    source = {
        "dotted": f"{'a.' * depth}a = 1\n",
        "header": f"[{'a.' * depth}a]\n",
        "lists": f"base.batch = {'[' * depth}{']' * depth}\n",
        "tables": f"base.batch = {'{ a = ' * depth}1{' }' * depth}\n",
    }[form]
    fault = fault_of(f"{source}{DENSE}" if form != "header" else DENSE + source)
    assert fault.message == "this cannot be read as TOML: it is nested too deeply"


def test_a_title_says_something() -> None:
    assert fault_of(DENSE.replace("One", "  ")).message == "'  ' is not possible here"
    assert parse_suite(DENSE.replace("One", " Two ")).title == "Two"


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_every_seed_of_the_format_can_be_drawn_from(seed: int) -> None:
    torch = pytest.importorskip("torch")
    suite = parse_suite(f"measure.seed = {seed}\n{DENSE}")
    for further in range(4):  # probes draw their other inputs with the seeds that follow
        assert torch.Generator().manual_seed(suite.measure.seed + further)


def test_files_that_are_no_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(DENSE)
    (tmp_path / "latin.toml").write_bytes(b'title = "One"\n# \xe9\n')
    (tmp_path / "large.toml").write_text("#" * (1 << 20) + "\n")
    for name, message, nearest in (
        ("mien.toml", "there is no such file", "mine.toml"),
        (str(tmp_path), "this is a folder", None),
        ("quikc", "there is no suite of this name", "quick"),
        ("latin.toml", "byte 16 is not UTF-8", None),
        ("large.toml", "this is too large for a suite", None),
        ("mine\0.toml", "cannot be read", None),
        ("mine.toml/x.toml", "cannot be read", None),
    ):
        with pytest.raises(SuiteError) as caught:
            load_suite(name)
        assert message in caught.value.faults[0].message
        assert caught.value.faults[0].nearest == nearest
    assert load_suite("mine.toml").title == "One"
    assert load_suite(tmp_path / "mine.toml").path == Path("mine.toml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the suite's name is empty"),
        (" \t", "the suite's name is empty"),
        ("x" * 5000, "there is no suite of this name"),
        ("x" * 5000 + ".toml", "cannot be read"),
        ("quick\0", "there is no suite of this name"),
        ("quick\0.toml", "cannot be read"),
        ("quick\n", "there is no suite of this name"),
        ("/dev/zero", "this is a device or a pipe"),
        ("pipe", "this is a device or a pipe"),
        ("./pipe", "this is a device or a pipe"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_in_one_line(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(SuiteError) as caught:
        load_suite(name)
    (fault,) = caught.value.faults
    assert message in fault.message
    first, *rest = str(fault).splitlines()
    assert first.isprintable()
    assert len(first) < 300
    assert rest[0].startswith("    expected: ")


@pytest.mark.parametrize("name", ["mine", "mine.toml", "locked/mine.toml"])
def test_a_folder_that_may_not_be_entered_is_a_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)  # chmod does not stop root, whom CI runs as
    monkeypatch.setattr("harness.declare.suite.shipped_suites", dict[str, Path])
    with pytest.raises(SuiteError, match="Permission denied" if "." in name else "no suite of this name"):
        load_suite(name)


def test_a_shipped_suite_is_found_where_the_working_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_suite("quick").name == "quick"


def test_a_fault_in_a_file_names_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text(DENSE + "topk = 2\n")
    with pytest.raises(SuiteError, match=r"^bad.toml:6: variant\[0\].topk: unknown key"):
        load_suite("bad.toml")


@pytest.mark.parametrize("name", shipped_suites())
def test_shipped_suites_load(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.source.startswith("# ")


def test_the_mission_has_its_suites() -> None:
    assert {"quick", "smoke", "model-size", "experts", "top-k", "slots", "batch-size"} <= set(shipped_suites())
    assert suite_folder().is_dir()


def test_suites_inside_an_installed_package_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "harness")
    assert suite_folder() == tmp_path / "suites"
    (tmp_path / "harness" / "suites").mkdir(parents=True)
    (tmp_path / "harness" / "suites" / "mine.toml").write_text(DENSE)
    assert suite_folder() == tmp_path / "harness" / "suites"
    assert load_suite("mine").title == "One"


def test_suites_need_no_torch() -> None:
    code = (
        "import sys, harness.declare.plan, harness.declare.suite, harness.declare.schema; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


FRAGMENTS = [
    "[",
    "]",
    "{",
    "}",
    "=",
    '"',
    "'",
    "\n",
    ",",
    ".",
    "-1",
    "0",
    "1e9",
    "inf",
    "nan",
    "true",
    "[[1]]",
    "[{}]",
    "é",
]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(shipped_suites())),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 6), st.sampled_from(FRAGMENTS)), min_size=1, max_size=4),
)
def test_a_damaged_suite_is_read_or_refused_in_words(name: str, cuts: list[tuple[int, int, str]]) -> None:
    source = shipped_suites()[name].read_text("utf-8")
    for at, length, fragment in cuts:
        source = source[:at] + fragment + source[at + length :]
    try:
        parse_suite(source)
    except SuiteError as error:
        complete = [fault.message and (fault.expected or fault.nearest) for fault in error.faults]
        if not (complete and all(complete)):
            raise


def test_impossible_combinations_and_axes_that_nobody_has_come_together() -> None:
    source = """
title = "Heads"
[base]
d_model = 100
d_ff = 400
heads = 7
experts = 4
top_k = 9
slots = 2
[[variant]]
name = "t"
layer = "token_choice"
"""
    assert {(fault.line, fault.key) for fault in faults_of(source)} == {
        (6, "base.heads"),
        (8, "base.top_k"),
        (9, "base.slots"),
    }
