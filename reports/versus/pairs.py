"""Pairs: which case of the candidate stands for which of the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.read import NothingInCommon
from reports.results import Result, Run


@dataclass(frozen=True, slots=True)
class Pair:
    """One case on both sides; None where a side has it not."""

    base: Result | None
    candidate: Result | None

    @property
    def id(self) -> str:
        """The case's name: the candidate's, where it has it."""
        side = self.candidate or self.base
        assert side is not None
        return side.id

    @property
    def alike(self) -> bool:
        """Whether it is the same case on both sides, with numbers on both."""
        base, candidate = self.base, self.candidate
        return base is not None and candidate is not None and base.key == candidate.key and base.ok and candidate.ok

    def rounds(self, metric: str) -> tuple[list[float | None], list[float | None]]:
        """Return the metric's estimates of all rounds of the baseline and of the candidate."""
        assert self.base is not None
        assert self.candidate is not None
        return self.base.rounds(metric), self.candidate.rounds(metric)

    @property
    def difference(self) -> str | None:
        """What of the case itself differs, in words: `d_ff was 1536 and is 3072`; None where it is the same case."""
        if self.base is None or self.candidate is None or self.base.key == self.candidate.key:
            return None
        before, after = self.base.case.as_dict(), self.candidate.case.as_dict()
        changed = [name for name in before if before[name] != after.get(name)]
        return ", ".join(f"{name} was {before[name]} and is {after[name]}" for name in changed) or "its content key"


def pairs(base: Run, candidate: Run) -> Iterator[Pair]:
    """Yield every case of either run once, in the candidate's order, those that only the baseline has last.

    Cases are the same by their content key, whatever they are called; what has no partner by its key is matched by its
    id, and then it is a changed case.
    """
    by_key = {result.key: result for result in base.results}
    by_id = {result.id: result for result in base.results}
    same = {result.key for result in candidate.results if result.key in by_key}
    taken = set(same)
    for result in candidate.results:
        partner = by_key.get(result.key)
        if partner is None and (named := by_id.get(result.id)) is not None and named.key not in same:
            partner = named
        if partner is not None:
            taken.add(partner.key)
        yield Pair(partner, result)
    yield from (Pair(result, None) for result in base.results if result.key not in taken)


def refuse_strangers(base: Run, candidate: Run, why: str) -> None:
    """Raise NothingInCommon, which ends with `why`, where no case of `candidate` is one of `base`."""
    both = tuple(pairs(base, candidate))
    if any(pair.base and pair.candidate and not pair.difference for pair in both):
        return
    changed = next((f" ({pair.id}: {pair.difference})" for pair in both if pair.difference), "")
    raise NothingInCommon(f"{candidate.name} and {base.name} have no case in common{changed}: {why}.")
