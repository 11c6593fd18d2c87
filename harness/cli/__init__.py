"""The command line: parse, call, print, exit code; nothing else.

Each command is one module; its imports stand inside its function, so that `harness --help` loads none of them.
"""

from __future__ import annotations

import sys

import typer

from harness.cli import compare, count, doctor, export, nightly, plan, report, run, schema, suites
from harness.cli.console import exit_code

app = typer.Typer(
    name="harness",
    help="Benchmarks dense, sparse and Soft Mixture-of-Experts layers, and writes the report for the design review.",
    epilog=(
        "Exit codes: 0 fine, 1 regression or refuted claim under --gate, 2 usage or suite error, 3 some cases failed, "
        "4 not comparable, 5 no such device, 130 interrupted. "
        "Begin with: harness run quick"
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    suites.suites,
    plan.plan,
    run.run,
    report.report,
    compare.compare,
    nightly.nightly,
    export.export,
    count.count,
    doctor.doctor,
    schema.schema,
):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        from harness import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    """Hold the options that come before a command."""


def main() -> None:
    """Run the command line: the entry point of `harness`."""
    sys.exit(exit_code(app))
