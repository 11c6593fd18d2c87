"""What the axis `routing` says of the load: whose choice the experts of each token are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from harness.case import Case

REPLAY = "replay:"
HOT_SHARE = 0.5
"""Share of the tokens that `hot` sends to the hot expert, unless it says another."""

Kind = Literal["learned", "balanced", "iid", "zipf", "hot", "replay"]


@dataclass(frozen=True, slots=True)
class Load:
    """The value of `routing`, taken apart."""

    kind: Kind
    number: float = 0.0
    """zipf: the exponent. hot: the share of the tokens that go to the hot expert."""
    file: str = ""
    """replay: as the suite names it."""


def load_of(routing: str | None) -> Load:
    """Return what a value of `routing` says; None, of layers without a router, is as `learned`."""
    if routing is None:
        return Load("learned")
    if routing.startswith(REPLAY):
        return Load("replay", file=routing.removeprefix(REPLAY))
    kind, _, number = routing.partition(":")
    given = float(number) if number else HOT_SHARE if kind == "hot" else 0.0
    return Load(cast("Kind", kind), given)


def is_assigned(case: Case) -> bool:
    """Return whether the experts of each token are said by `routing`, and not by the router."""
    return case.routing not in (None, "learned")


def unsupported(case: Case) -> str | None:
    """Return why the layer of `case` cannot have the load that its `routing` says, in words, or None."""
    if case.layer == "expert_choice" and is_assigned(case):
        return (
            f'routing = "{case.routing}" says which experts each token goes to, and in expert choice the experts '
            'take the tokens, all as many: use routing = "learned"'
        )
    return None
