"""What is fuzzed: every text that the harness reads, given to the code that reads it, as far as a command would go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.declare.cluster_file import load_cluster
from harness.declare.draw import points
from harness.declare.faults import SuiteError
from harness.declare.findings import Findings
from harness.declare.format import Suite
from harness.declare.overrides import read_overrides
from harness.declare.plan import plan, plan_document
from harness.declare.policy import USUAL, Policy, load_policy
from harness.declare.priced import check_priceable, price_on, priced_document
from harness.declare.shipped import shipped_clusters
from harness.declare.suite import load_suite, parse_suite
from harness.engine.folder import JOURNAL, RECORDS, RUN, read_document, read_run, settle
from harness.engine.journal import Journal, RunFolderError, read_journal
from harness.engine.manifest import check_resumable
from reports import ReportError
from reports.data import render_data
from reports.read import read_run as read_for_report
from reports.results import Run
from reports.review import review
from reports.summary import render_summary
from reports.versus import text
from reports.versus.gate import judge, lines
from reports.versus.junit import render_junit
from reports.versus.reach import blind, idle_rules
from tests.fuzz import seeds

OWN_ERRORS = (SuiteError, RunFolderError, ReportError)
"""What the commands print as a sentence; anything else would be a traceback."""
SOUND_RECORDS = "records.sound"
FEW_PRICED = 12
"""Cases that are priced on a cluster."""
PLANNED_WHOLE = 2000
"""Points of a suite that is planned as well as read: more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of text."""

    name: str
    begin: Callable[[Path], Sequence[bytes]]
    """Prepares the folder for it, and gives texts that are sound."""
    read: Callable[[bytes, Path], int]
    """Reads one text and returns how many cases it spans; raises one of OWN_ERRORS where it is refused."""


def _suite(data: bytes, folder: Path) -> int:
    path = folder / "hostile.toml"
    path.write_bytes(data)
    suite = load_suite(path)
    count = points(suite, Findings(suite._text))
    if count <= PLANNED_WHOLE:
        plan_document(plan(suite, memory_bytes=1 << 30))
    return count


def _set(data: bytes, folder: Path) -> int:
    texts = data.decode("utf-8", "surrogateescape").split("\n")
    suite = _small_suite()
    count = points(suite, Findings(suite._text), read_overrides(suite, texts))
    if count <= PLANNED_WHOLE:
        plan(suite, overrides=texts)
    return count


def _select(data: bytes, folder: Path) -> int:
    return len(plan(_small_suite(), select=data.decode("utf-8", "surrogateescape")).cases)


@cache
def _small_suite() -> Suite:
    return parse_suite(seeds.SUITE, "small.toml")


def _journal(data: bytes, folder: Path) -> int:
    (folder / JOURNAL).write_bytes(data)
    (folder / RECORDS).unlink(missing_ok=True)
    lines = read_journal(folder / JOURNAL)
    settle(folder)
    _report(folder)
    Journal(folder / JOURNAL).close()
    assert read_journal(folder / JOURNAL) == lines
    return len(lines)


def _records(data: bytes, folder: Path) -> int:
    (folder / RECORDS).write_bytes(data)
    _report(folder)
    return len(read_run(folder).records)


def _manifest(data: bytes, folder: Path) -> int:
    """As `harness report` and `harness run --resume` do."""
    (folder / RUN).write_bytes(data)
    shutil.copy(folder / SOUND_RECORDS, folder / RECORDS)
    document = read_document(folder)
    _report(folder)
    (folder / RECORDS).unlink()
    settle(folder)
    _report(folder)
    stored = document["suite"]
    suite = parse_suite(stored["source"], f"{stored['name']}.toml")
    count = points(suite, Findings(suite._text), read_overrides(suite, stored["overrides"]))
    if count <= PLANNED_WHOLE:
        chosen = plan(suite, overrides=stored["overrides"], select=stored["select"])
        check_resumable(document, chosen, seeds.DEVICE)
    return count


def _report(folder: Path) -> None:
    made = review(read_for_report(folder))
    render_data(made)
    render_summary(made)


def _policy(data: bytes, folder: Path) -> int:
    """As `harness compare --gate --policy` does."""
    path = folder / "policy.toml"
    path.write_bytes(data)
    policy = load_policy(path)
    run = _sound_run(folder)
    idle_rules(policy, run, run)
    _gate(run, run, policy)
    return len(policy.rules)


def _cluster(data: bytes, folder: Path) -> int:
    """As `harness plan --cluster` does."""
    path = folder / "cluster.toml"
    path.write_bytes(data)
    cluster = load_cluster(str(path))
    cases = [planned.case for planned in plan(_small_suite()).cases][:FEW_PRICED]
    check_priceable(cluster, cases)
    for case in cases:
        json.dumps(priced_document(price_on(cluster, case)), allow_nan=False)
    return len(cases)


def _compared(data: bytes, folder: Path) -> int:
    """A hostile run.json on either side of a comparison: its machine, its noise, its headlines."""
    (folder / RUN).write_bytes(data)
    shutil.copy(folder / SOUND_RECORDS, folder / RECORDS)
    hostile, sound = read_for_report(folder), _sound_run(folder)
    _gate(hostile, sound, USUAL)
    _gate(sound, hostile, USUAL)
    return len(hostile.records)


def _gate(base: Run, candidate: Run, policy: Policy) -> None:
    gate = judge(base, candidate, policy)
    blind(gate.versus, policy)
    json.dumps(text.document(gate.versus), allow_nan=False)
    text.markdown(gate.versus)
    render_junit(gate)
    list(lines(gate))


@cache
def _sound_run(folder: Path) -> Run:
    whole = folder / "whole"
    whole.mkdir(exist_ok=True)
    shutil.copy(folder / RUN, whole / RUN)
    shutil.copy(folder / SOUND_RECORDS, whole / RECORDS)
    return read_for_report(whole)


def _begin_policy(folder: Path) -> Sequence[bytes]:
    _begin_run(RECORDS)(folder)
    return [policy.encode() for policy in seeds.POLICIES]


def _begin_compared(folder: Path) -> Sequence[bytes]:
    texts = _begin_run(RUN)(folder)
    _sound_run(folder)  # while its run.json is still the sound one
    return texts


def _begin_run(file: str) -> Callable[[Path], Sequence[bytes]]:
    def begin(folder: Path) -> Sequence[bytes]:
        files = seeds.files_of(seeds.write_seed_run(folder))
        (folder / SOUND_RECORDS).write_bytes(files[RECORDS])
        return [files[file]]

    return begin


TARGETS = {
    target.name: target
    for target in (
        Target("suite", lambda _: seeds.suites(), _suite),
        Target("set", lambda _: [text.encode() for text in seeds.SETS], _set),
        Target("select", lambda _: [text.encode() for text in seeds.SELECTS], _select),
        Target("journal", _begin_run(JOURNAL), _journal),
        Target("records", _begin_run(RECORDS), _records),
        Target("manifest", _begin_run(RUN), _manifest),
        Target("policy", _begin_policy, _policy),
        Target("compared", _begin_compared, _compared),
        Target("cluster", lambda _: [seeds.CLUSTER.encode(), shipped_clusters()["gpus"].read_bytes()], _cluster),
    )
}
