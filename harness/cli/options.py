"""Arguments that several commands share, said once."""

from __future__ import annotations

from typing import Annotated

import typer

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="A name that `harness suites` lists, or a path.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="AXIS=VALUE", help="Override an axis everywhere: --set batch=1,8 --set size=B."),
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select", metavar="EXPR", help='Keep only the cases for which EXPR holds: "experts <= 32"; of several, all.'
    ),
]
DeviceOption = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to run.")]
PluginsOption = Annotated[
    bool,
    typer.Option("--plugins/--no-plugins", help="Import the code that a suite names (module:function), or refuse to."),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="FILE", help="Devices that are not here: a cluster's file, or a shipped one's name."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def all_of(selects: list[str] | None) -> str | None:
    """Return the one expression that says what several `--select` say together."""
    if selects is None or len(selects) < 2:
        return selects[0] if selects else None
    return " and ".join(f"({select})" for select in selects)
