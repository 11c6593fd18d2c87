"""`harness count`: what a model has and what it costs, before anybody builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import document, fail, out
from harness.cli.exits import Exit
from harness.cli.options import JsonOption

if TYPE_CHECKING:
    from harness.declare.architecture import Architecture
    from harness.declare.counts import Count

SCHEMA = 1

CONVENTIONS = (
    ("params", "parameters", "everything"),
    ("params_active", "active", "without idle experts; both embeddings count (Mixtral, Qwen3, OLMoE, DeepSeek)"),
    ("params_active_no_input_embedding", "active, no input", "without idle experts and input embedding (gpt-oss)"),
    ("params_active_non_embedding", "active, neither", "without idle experts and both embeddings (scaling laws)"),
    ("params_non_embedding", "non-embedding", "without both embeddings; idle experts count (Qwen3)"),
)
"""Field, name, what it leaves out and who counts so."""


def count(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A name that --list prints, or a path to a Hugging Face config.json."),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option("--tokens", metavar="N", min=1, help="Count attention over a context of N tokens too."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the published models.")] = False,
    json_: JsonOption = False,
) -> None:
    """Count a model's parameters, active ones by each convention, FLOPs and bytes. Measures nothing."""
    if list_:
        _list(json_)
        return
    if model is None:
        fail(Exit.USAGE, "which model? Give a name that `harness count --list` prints, or a path to a config.json")
    counted, architecture = _counted(model, tokens)
    if json_:
        from harness.declare.counts import count_document

        document({"schema": SCHEMA, **count_document(counted)})
        return
    _print(counted, architecture)


def _counted(name: str, tokens: int | None) -> tuple[Count, Architecture | None]:
    """Return the counts of a published model, or of a config.json, which has no architecture of ours."""
    from harness.declare.counts import CannotCount, count
    from harness.declare.published import published

    try:
        if name.endswith(".json") or "/" in name or "\\" in name:
            from harness.hugging_face.file import config_file

            path = config_file(name)
            from harness.hugging_face.count import count_config  # torch and transformers: seconds

            return count_config(path, tokens), None
        architecture = published(name)
        return count(architecture, tokens), architecture
    except CannotCount as error:
        fail(Exit.USAGE, str(error))


def _print(counted: Count, architecture: Architecture | None) -> None:
    """Print each convention of counting, the FLOPs and the bytes; then each part, where the architecture is known."""
    from harness.metrics import show_bytes, show_scaled

    out(f"{counted.model}  ({architecture.source})" if architecture else counted.model)
    for field, name, text in CONVENTIONS:
        number: int = getattr(counted, field)
        out(f"{name:18} {number:>19,} {_billions(number):>7}  {text}")
    if counted.flops is not None:
        scaled = show_scaled(counted.flops, "")
        out(f"{'FLOPs per ' + counted.per:18} {counted.flops:>19,} {scaled:>7}  {_flops_text(counted, architecture)}")
    else:
        why = "it takes more than texts, or more than images, or needs data to run"
        out(f"{'FLOPs per ' + counted.per:18} not counted: {why}")
    out("weights            " + ", ".join(f"{show_bytes(size)} in {dtype}" for dtype, size in counted.bytes.items()))
    if architecture:
        _print_parts(architecture, counted.tokens)
        if architecture.note:
            out(f"note: {architecture.note}")


def _flops_text(counted: Count, architecture: Architecture | None) -> str:
    if counted.per == "image":
        return "2 per multiply-add" + (f"; {counted.tokens} patches" if counted.tokens else "")
    pair = ", one token in and one out" if architecture and architecture.form == "encoder_decoder" else ""
    context = f"attention over {counted.tokens:,} tokens" if counted.tokens else "attention scores left out: --tokens N"
    return f"2 per multiply-add{pair}; {context}"


def _print_parts(architecture: Architecture, tokens: int | None) -> None:
    from harness.declare.counts import by_part
    from harness.metrics import show_scaled

    out()
    out(f"{'part':22} {'parameters':>10} {'active':>10} {'FLOPs':>10}")
    for part, numbers in by_part(architecture, tokens).items():
        total, active, flops = numbers
        if any(numbers):
            row = (_billions(total), _billions(active), show_scaled(flops, ""))
            out(f"{part:22} " + " ".join(f"{text if n else '–':>10}" for n, text in zip(numbers, row, strict=True)))


def _list(json_: bool) -> None:
    """Print the published models, one line each, and the patterns that name more of them."""
    from harness.declare.counts import count
    from harness.declare.published import NAMES, published
    from harness.declare.published_vision import PATTERNS

    models = [published(name) for name in NAMES]
    if json_:
        document({"schema": SCHEMA, "models": list(NAMES), "patterns": list(PATTERNS)})
        return
    for model in models:
        counted = count(model)
        total, active = _billions(counted.params), _billions(counted.params_active)
        out(f"{model.name:20} {total:>7} {active:>7} active  {model.source}")
    out("and any of")
    for pattern, example in PATTERNS.items():
        out(f"  {pattern}  such as {example}")


def _billions(parameters: int) -> str:
    """Return a number of parameters as the field writes it: `46.7 B`."""
    from harness.metrics import show_scaled

    return show_scaled(parameters, "").replace("G", "B")
