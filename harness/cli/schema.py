"""`harness schema`: the formats of suites and clusters, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.console import document


def schema(
    cluster: Annotated[bool, typer.Option("--cluster", help="The format of a cluster's file instead.")] = False,
) -> None:
    """Print the suite format as JSON Schema, for editors; or that of clusters."""
    from harness.declare.schema import cluster_schema, suite_schema

    document(cluster_schema() if cluster else suite_schema())
