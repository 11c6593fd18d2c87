"""`harness schema`: the suite format, for editors."""

from __future__ import annotations

from harness.cli.console import document


def schema() -> None:
    """Print the suite format as JSON Schema, for editors."""
    from harness.declare.schema import suite_schema

    document(suite_schema())
