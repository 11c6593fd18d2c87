"""The session's page: what was seen, beside what was expected, what failed and why; Markdown, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from harness.engine.environment import environment, harness_identity
from harness.metrics import show
from harness.record import OkRecord, write_record
from tests.gpu.findings import Gathered, causes
from tests.gpu.steps import LOGS, Ended

COLUMNS = {
    "latency_ms": "cold", "latency_hot_ms": "hot", "latency_graph_ms": "graph", "hfu": "HFU",
    "memory_peak_bytes": "peak", "det_batch_size": "equal by batch size", "det_composition": "by companions",
}  # fmt: skip
"""Of the sweep's table; a column that no case fills is left out."""
HOLDS = {True: "as expected", False: "**not as expected**", None: ""}


def write_summary(folder: Path, found: Gathered) -> Path:
    """Write `summary.md` and `summary.json`, and return the former's path."""
    data = {
        "schema": 1,
        "device": found.device._asdict(),
        "when": f"{datetime.now(UTC):%Y-%m-%d}",
        "seconds": round(found.seconds, 1),
        "steps": [_step(one) for one in found.ended],
        "findings": [asdict(finding) for finding in found.findings],
        "tests": found.tests,
        "records": {name: [json.loads(write_record(r)) for r in run.records] for name, run in found.runs.items()},
    }
    (folder / "summary.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    page = folder / "summary.md"
    page.write_text(render(found), "utf-8")
    return page


def render(found: Gathered) -> str:
    """Return the page as Markdown."""
    parts = [f"# {found.device.name}: all that needs CUDA", _verdict(found), _machine(found)]
    parts += [f"## Steps\n\n{_steps(found.ended)}"]
    if found.findings:
        rows = [(f.what, f.seen, f.expected, HOLDS[f.holds]) for f in found.findings]
        parts.append(f"## Findings\n\n{_table(('figure', 'seen', 'expected', ''), rows)}")
    parts += [_cases(found), _causes(found), _failures(found)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _verdict(found: Gathered) -> str:
    done = sum(not one.words for one in found.ended)
    judged = [finding for finding in found.findings if finding.holds is not None]
    right = sum(bool(finding.holds) for finding in judged)
    return (
        f"**{done} of {len(found.ended)} steps came to their end in {found.seconds:.0f} s; "
        f"{right} of {len(judged)} figures are as expected.**"
    )


def _machine(found: Gathered) -> str:
    """Return what machine and software it was, without the machine's name."""
    facts, own = environment(), harness_identity()
    device: dict[str, object] = next((run.document["device"] for run in found.runs.values()), {})
    told = [f"Seen on {datetime.now(UTC):%Y-%m-%d}", f"torch {facts.get('torch')}", f"Python {facts['python']}"]
    told += [f"{word} {device[name]}" for name, word in (("driver", "driver"), ("cuda", "CUDA")) if device.get(name)]
    told.append(
        f"harness {own['version']} ({(own['commit'] or own['source'])[:12]}{', changed' if own['dirty'] else ''})"
    )
    return "; ".join(told) + "."


def _steps(ended: Sequence[Ended]) -> str:
    rows = [(one.step.name, one.step.what, f"{one.seconds:.0f}", one.words or "done") for one in ended]
    return _table(("step", "what", "seconds", "end"), rows)


def _step(one: Ended) -> dict[str, object]:
    return {"name": one.step.name, "seconds": round(one.seconds, 1), "code": one.code, "words": one.words}


def _cases(found: Gathered) -> str:
    """Return the sweep, one line a case."""
    run = found.runs.get("sweep")
    records = [record for record in run.records if isinstance(record, OkRecord)] if run else []
    columns = [name for name in COLUMNS if any(name in record.metrics for record in records)]
    if not columns:
        return ""
    rows = []
    for record in records:
        values = [record.metrics.get(name) for name in columns]
        shown = [show(name, v.value, v.low, v.high) if v else "–" for name, v in zip(columns, values, strict=True)]
        rows.append((record.id, *shown))
    return f"## Sweep\n\n{_table(('case', *(COLUMNS[name] for name in columns)), rows)}"


def _causes(found: Gathered) -> str:
    """Return why rows differ, by axis, over the sweep and the suite that is made for it."""
    rows = [
        (name, axis.removeprefix("det_").replace("_", " "), ", ".join(f"{n} {cause}" for cause, n in counts.items()))
        for name, run in found.runs.items()
        for axis, counts in causes(run).items()
    ]
    return f"## Causes of batch-determinism\n\n{_table(('run', 'axis', 'cases by cause'), rows)}" if rows else ""


def _failures(found: Gathered) -> str:
    """Return every case without numbers with its reason, and where to read more."""
    lines = [
        f"- {name}, {record.id}: {record.status}, {record.reason}"
        for name, run in found.runs.items()
        for record in run.records
        if record.status != "ok"
    ]
    lines += [f"- step {one.step.name}: {one.words} (`{LOGS}/{one.step.name}.log`)" for one in found.ended if one.words]
    return "## What failed\n\n" + "\n".join(lines) if lines else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
