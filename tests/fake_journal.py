"""Test data: the timed visits of a fake run as a journal has them, from the rounds of its records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

WOBBLE = (1.04, 1.0, 0.99)
"""A visit's samples over its estimate, which is their median."""


def write_journal(
    folder: Path,
    cells: Sequence[str] = (),
    again: Sequence[float] = (1.0,),
    wobble: Sequence[float] = WOBBLE,
    **state: float,
) -> None:
    """Write `journal.jsonl` beside the records of `folder`.

    Cases whose ids are `cells` are timed twice in every round, the second time by the factors `again` in turn. A visit
    has a sample for each factor of `wobble`.
    """
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]
    lines = [
        line for record in records if record["status"] == "ok" for line in _visits(record, cells, again, wobble, state)
    ]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def _visits(
    record: dict[str, Any],
    cells: Sequence[str],
    again: Sequence[float],
    wobble: Sequence[float],
    state: dict[str, float],
) -> Iterator[dict[str, Any]]:
    for number, ms in enumerate(record["metrics"].get("latency_ms", {}).get("rounds") or []):
        visit = {"schema": 1, "visit": number, "key": record["key"], "id": record["id"], "status": "ok", "end": "ok"}
        visit |= {"round": number, "started": "2026-11-22T20:16:02.272+00:00", "seconds": 0.1}
        visit |= {"state": state} if state else {}
        yield visit | {"probe": "latency", "values": {"latency_ms": [ms * each for each in wobble]}}
        if record["id"] in cells:
            times = [ms * again[number % len(again)] * each for each in wobble]
            yield visit | {"probe": "a_a", "values": {"latency_ms": times}}
