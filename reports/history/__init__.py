"""Many runs of one suite: each case's trend, and since which run a number is what it is."""

from reports.history.history import History, history

__all__ = ["History", "history"]
