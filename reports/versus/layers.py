"""Layers: whether all cases of a layer together became slower than those of the others, in the same rounds.

What a single case's noise hides, many cases of one layer may show; and a drift of the machine cancels, since it is in
the other layers too. This raises suspicion and no more: no case is called slower for it, its cases are measured again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.judge.compare import Rounds, timed
from harness.judge.multiple import ALPHA, holm
from harness.judge.verdict import MARGIN
from reports.versus.headline import Headline, Judge
from reports.versus.many import is_timed, mean_of, of_variant, quotient
from reports.versus.pairs import Pair

FEWEST = 2
"""Cases that say more together than one alone."""


def slower_layers(both: Sequence[Pair], judge: Judge) -> tuple[Headline, ...]:
    """Return the variants whose mean over cases rose against the mean of all others, after Holm's procedure.

    `both` are pairs with numbers on both sides; `judge` as `headlines` takes it.
    """
    asked = list(_asked([pair for pair in both if is_timed(pair)]))
    changes = judge([(base, after) for _, _, base, after in asked])
    known = [(name, cases, one) for (name, cases, *_), one in zip(asked, changes, strict=True) if one is not None]
    adjusted = holm([one.p for _, _, one in known])
    found = (
        Headline(name, timed(one, significant=p <= ALPHA, margin=MARGIN), cases, one)
        for (name, cases, one), p in zip(known, adjusted, strict=True)
    )
    return tuple(one for one in found if one.verdict == "slower")


def _asked(both: Sequence[Pair]) -> Iterator[tuple[str, int, Rounds, Rounds]]:
    """Yield each variant with others beside it, its number of cases, and its rounds over theirs on either side."""
    names = {pair.id: pair.candidate.case.variant for pair in both if pair.candidate is not None}
    for name in dict.fromkeys(names.values()):
        own, others = of_variant(both, name), [pair for pair in both if names[pair.id] != name]
        if len(own) >= FEWEST and others:
            base, after = (quotient(mean_of(own, side), mean_of(others, side)) for side in (0, 1))
            yield name, len(own), base, after
