"""What cannot be written: a full disk, a file that may not grow, a read-only folder, a line torn at any byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.engine.folder import JOURNAL, RECORDS, RUN, read_run
from harness.engine.journal import Journal, WriteError, read_journal
from harness.engine.keeper import WorkerOptions
from tests.faults.conftest import Size
from tests.faults.disks import bound_by_modes, limit_file_size, may_mount, read_only, small_disk
from tests.faults.killers import finished, start, wait_until_begun
from tests.faults.layers import EVERY_FAULT
from tests.faults.sweeps import make_plan, suite_file, sweep
from tests.faults.tally import Counts, Tally, Truth, begun, begun_again, count, exact, journaled

PLENTY_KIB = 1 << 14


def test_a_full_disk(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    """A run stops where its disk is full, and goes on when there is room."""
    chosen, counts = make_plan(probes=size.probes), Counts()
    for kibibytes in size.times((80,), (8, 44, 52, 64, 80, 96, 112, 128)):
        with small_disk(folder.with_name(f"disk-{kibibytes}"), kibibytes) as resize:
            run = folder.with_name(f"disk-{kibibytes}") / "run"
            with pytest.raises(WriteError, match="No space left on device"):
                sweep(run, chosen)
            before, kept = begun(run), journaled(run)
            resize(PLENTY_KIB)
            sweep(run, chosen, resume=(run / RUN).exists())
            counts += count(run, sound, injected=1, again=begun_again(before, kept, run))
    tally.add("full disk, then --resume", counts)


def test_a_file_that_may_not_grow(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    """The kernel refuses a write in the midst of a journal's line (RLIMIT_FSIZE), at any byte of it."""
    if not size.whole and may_mount():
        pytest.skip("the full disk stands for it; in the whole form both are done: `nox -s faults`")
    suite, counts = suite_file(folder, probes=size.probes), Counts()
    for extra in range(size.times(1, 8)):
        run = folder.with_name(f"limited-{extra}")
        limit = limit_file_size(48_000 + 37 * extra)
        code, errors = finished(start(run, "run", suite, "-o", run, "--threads", "1", under=limit))
        assert (code, "File too large" in errors) == (3, True), errors
        before, kept = begun(run), journaled(run)
        code, errors = finished(start(run, "run", "--resume", run))
        assert code == 0, errors
        counts += count(run, sound, injected=1, again=begun_again(before, kept, run))
    tally.add("file-size limit, then --resume", counts)


def test_a_folder_that_becomes_read_only(folder: Path, sound: Truth, tally: Tally, size: Size) -> None:
    """Before a run, it is refused; in the midst, what the open journal took is resumed."""
    suite, bound = suite_file(folder, probes=size.probes), bound_by_modes()
    folder.mkdir()
    with read_only(folder):
        code, errors = finished(start(folder, "run", suite, "-o", folder / "inner", under=bound))
        assert (code, "cannot be a run's folder: Permission denied" in errors) == (2, True), errors
    process = start(folder, "run", suite, "-o", folder, "--threads", "1", under=bound)
    wait_until_begun(folder, 20)
    with read_only(folder):
        code, errors = finished(process)
        assert (code, "cannot be written: Permission denied" in errors) == (3, True), errors
        assert "go on with: harness run --resume" in errors
        kept = begun(folder), journaled(folder)
        code, errors = finished(start(folder, "run", "--resume", folder, under=bound))
        assert (code, "cannot be written: Permission denied" in errors) == (3, True), errors
    code, errors = finished(start(folder, "run", "--resume", folder, under=bound))
    assert code == 0, errors
    counts = count(folder, sound, injected=3, in_flight=1, again=begun_again(*kept, folder))
    tally.add("read-only folder, then --resume", counts)


def test_a_line_torn_at_any_byte(folder: Path, undisturbed: Path, truth: Truth, tally: Tally, size: Size) -> None:
    """All that stands before the torn line is read and folded as it was, and the line can be written again."""
    data, lines = (undisturbed / JOURNAL).read_bytes(), read_journal(undisturbed / JOURNAL)
    begin = data.rstrip(b"\n").rfind(b"\n") + 1
    torn, counts = _killed_copy(undisturbed, folder), Counts()
    for end in range(begin, len(data), size.times(25, 1)):
        (torn / JOURNAL).write_bytes(data[:end])
        kept = read_journal(torn / JOURNAL)
        counts += _compare_folded(torn, truth, but=lines[-1].key)
        journal = Journal(torn / JOURNAL)
        journal.append(lines[-1])
        journal.close()
        mended = (torn / JOURNAL).read_bytes() == data
        counts += Counts(injected=1, lost=(kept != lines[:-1]) + (not mended))
    tally.add(size.times("journal torn in its last line", "journal torn at every byte of its last line"), counts)


def test_a_torn_journal_is_resumed(folder: Path, undisturbed: Path, truth: Truth, tally: Tally, size: Size) -> None:
    data = (undisturbed / JOURNAL).read_bytes()
    begin, counts = data.rstrip(b"\n").rfind(b"\n") + 1, Counts()
    for tenth in range(size.times(1, 10)):
        torn = _killed_copy(undisturbed, folder.with_name(f"torn-{tenth}"))
        (torn / JOURNAL).write_bytes(data[: begin + tenth * (len(data) - begin) // 10])
        result = sweep(torn, make_plan(EVERY_FAULT, probes=size.probes), resume=True, worker=WorkerOptions(threads=1))
        assert (result.visited, result.reused) == (1, data.count(b"\n") - 1)
        counts += count(torn, truth, injected=1)
    tally.add("torn journal, then --resume", counts)


def _compare_folded(folder: Path, truth: Truth, but: str) -> Counts:
    """Hold the records of the run in `folder` against the truth, `but` the case that lacks a visit."""
    records = [record for record in read_run(folder).records if record.key != but]
    return Counts(compared=len(records), lost=sum(exact(record) != exact(truth[record.key]) for record in records))


def _killed_copy(whole: Path, copy: Path) -> Path:
    """Copy the run as it would stand if its runner had been killed: not complete, and without records."""
    shutil.copytree(whole, copy)
    document = json.loads((copy / RUN).read_text("utf-8"))
    (copy / RUN).write_text(json.dumps(document | {"status": "running", "finished": None}), "utf-8")
    (copy / RECORDS).unlink()
    return copy
