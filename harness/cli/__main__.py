"""`python -m harness.cli`: the command line, where the entry point is not installed."""

from harness.cli import main

main()
