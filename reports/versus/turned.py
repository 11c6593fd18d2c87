"""Claims that came out otherwise: what the baseline was shown to do, and the candidate is shown not to."""

from __future__ import annotations

from dataclasses import dataclass

from harness.declare.policy import Alert, Policy
from harness.judge.claims import Verdict
from harness.metrics import METRICS
from reports.claims import Decided, decided, shown
from reports.context import Context
from reports.results import Run


@dataclass(frozen=True, slots=True)
class Turned:
    """A claim of the candidate whose verdict is another one than in the baseline."""

    claim: Decided
    """As the candidate decides it."""
    before: Verdict | None
    """The baseline's verdict; None where it does not make the claim."""
    alert: Alert

    @property
    def timed(self) -> bool:
        """Whether it rests on numbers with noise, which are measured again before anything fails."""
        return self.claim.metric is not None and not METRICS[self.claim.metric].exact

    @property
    def words(self) -> str:
        """What is told of it: `claim soft-is-flat was confirmed and is refuted: 1.4× [1.3, 1.5] (The time ...)`."""
        was = "is new" if self.before is None else f"was {self.before}"
        seen = f": {shown(self.claim)}" if self.claim.estimate else ""
        return f"claim {self.claim.id} {was} and is {self.claim.verdict}{seen} ({self.claim.text})"


def turned(base: Run, candidate: Run, policy: Policy) -> tuple[Turned, ...]:
    """Return the candidate's claims that are newly refuted, and those that were decided and no longer are."""
    before = {one.id: one.verdict for one in decided(Context(base))}
    found = [Turned(one, before.get(one.id), _alert(one, before, policy)) for one in decided(Context(candidate))]
    return tuple(one for one in found if one.alert != "ignore")


def _alert(claim: Decided, before: dict[str, Verdict], policy: Policy) -> Alert:
    was = before.get(claim.id)
    if claim.verdict == "refuted" and was != "refuted":
        return policy.refuted
    undone = claim.verdict == "undecided" and was in ("confirmed", "refuted")
    return "warn" if undone and policy.refuted != "ignore" else "ignore"
