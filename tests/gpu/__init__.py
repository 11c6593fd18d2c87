"""What needs a GPU: `nox -s gpu` runs all of it in one command, and the tests here wait for one."""
