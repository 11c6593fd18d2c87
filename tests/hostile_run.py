"""Test data: a run in which every text that it can carry is hostile, found by walking its files and its models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from harness.record import FailedRecord, OkRecord
from reports.run_file import ClaimInfo, RunFile
from tests import fake_run

_CONTROLS = dict.fromkeys(range(32), "?")
PICKS_ALL = {"where": None, "against": None}
"""What of a claim is an expression: another text is refused, in one sentence."""
DECIDED = {"metric": "latency_ms", "where": "layer == 'soft'", "expect": "at_most", "value": 1e9, "against": None,
           "to": None, "along": None, "moving": []}  # fmt: skip
"""What of a claim must be no text for it to be decided."""
SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}${7*7}"
BIDI = "\u202e\u2066evil\u2069\u202c\x00\x07\x1b[31m\u2028\ufeff"


def filled(model: type[BaseModel], text: str) -> dict[str, Any]:
    """Return what `model` says beyond what a fake run has: each field that may be text, or holds texts, is hostile.

    It goes by the model's own fields, so that a field which is new tomorrow is hostile tomorrow.
    """
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        value = _hostile_value(field.annotation, text)
        if value is not None:
            found[field.alias or name] = value
    return found


def _hostile_value(kind: Any, text: str) -> Any:
    options = get_args(kind)
    if kind is str or (str in options and get_origin(kind) not in (dict, list)):
        return text
    if get_origin(kind) is list and options[0] is str:
        return [text, text]
    if get_origin(kind) is dict and options == (str, Any):
        return {text: text, "variables": {text: text}, "packages": {text: text}}
    return None


def whole(model: type[BaseModel], text: str) -> dict[str, Any]:
    """Return a document of `model` with all that it may say, down to the models in it: texts hostile, numbers small."""
    return {field.alias or name: _whole_value(field.annotation, text) for name, field in model.model_fields.items()}


def _whole_value(kind: Any, text: str) -> Any:
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Annotated, Union, UnionType):
        return _whole_value(options[0], text)
    if origin is Literal:
        return options[0]
    if origin is list:
        return [_whole_value(options[0], text)] * 2
    if origin is dict:
        return {text: _whole_value(options[1], text)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return whole(kind, text)
    return {bool: False, int: 1, float: 0.05}.get(kind, text)


def hostile_cluster(text: str) -> str:
    """Return the source of a cluster of which all that may be text is `text`, as long as a name may be."""
    words = json.dumps(text.translate(_CONTROLS)[:75], ensure_ascii=True)
    device = f"[[device]]\nname = {words}\nsource = {words}\nflops_per_s = {{ float32 = 1e12 }}\nbytes_per_s = 1e9\n"
    return f"title = {words}\ntext = {words}\n{device}memory_bytes = 1e9\n"


def write_hostile_run(folder: Path, text: str) -> Path:
    """Write a run whose every text is `text`, but for what must be a number, a key or a word of a closed list."""
    cases = [fake_run.make_case(f"{layer}{text}", layer, **axes) for layer, axes in _LAYERS]
    fake_run.write_run(folder, cases)
    file = json.loads((folder / "run.json").read_text("utf-8"))
    suite, harness = RunFile.model_fields["suite"].annotation, RunFile.model_fields["harness"].annotation
    file |= filled(RunFile, text) | {"schema": 1, "ceilings": file["ceilings"]}
    file["suite"] |= filled(_model(suite), text) | {"headline": [text, f"{text} / {text}"], "measure": {text: text}}
    file["suite"]["axes"] = {text: [text]}
    file["suite"]["claims"] = [whole(ClaimInfo, text) | PICKS_ALL, whole(ClaimInfo, text) | DECIDED]
    file |= {
        name: _whole_value(RunFile.model_fields[name].annotation, text) for name in ("datasheet", "noise", "paired")
    }
    file["device"] |= {"name": text, "kind": text}
    file["harness"] |= filled(_model(harness), text)
    file["cases"] = [case | {"id": f"{case['id']}{number}"} for number, case in enumerate(file["cases"])]
    (folder / "run.json").write_text(json.dumps(file), "utf-8")
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").split("\n") if line]
    records = [_record(number, line, text) for number, line in enumerate(lines)]
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return folder


_LAYERS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("soft", {"experts": 4}), ("soft", {"experts": 8}), ("dense", {}), ("token_choice", {"experts": 8}),
    ("token_choice", {"experts": 4}), ("expert_choice", {"experts": 8}),
)  # fmt: skip


def _model(kind: Any) -> type[BaseModel]:
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    return kind


def _record(number: int, record: dict[str, Any], text: str) -> dict[str, Any]:
    own = {"schema": 1, "key": record["key"], "case": record["case"]}
    if number % 4 == 3:
        return filled(FailedRecord, text) | own | {"status": "crashed", "metrics": None}
    metrics = {name: value | {"value": text} if isinstance(value["value"], str) else value
               for name, value in record["metrics"].items()}  # fmt: skip
    more = {"notes": [text, f"a trace of the phases is kept in {text}"]}
    series = record.get("series", {}) | {text: [1.0]}
    return filled(OkRecord, text) | own | {"status": "ok", "reason": None, "metrics": metrics, "series": series} | more
