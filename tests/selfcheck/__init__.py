"""The self-check's page: `nox -s selfcheck`."""
