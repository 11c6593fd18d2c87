"""What is noted about many cases, said once: a list of notes, which rows refer to by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reports.sections.cases import Row

_AMOUNT = re.compile(r"(?<![\w.,-])(\d+(?:[.,]\d+)*(?: [kMGTP]\b)?)(?![\w-])")


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of a table."""

    shared: tuple[tuple[str, ...], ...]
    """What more than one row has, in pieces: between two of them stands an amount in which the rows differ."""
    refers: tuple[str, ...]
    """For each row `2, 4 (6.64)`: the numbers of its shared notes, from 1 on, each with its own amounts."""
    own: tuple[tuple[str, ...], ...]
    """For each row what no other row has, in full."""


def notes(rows: Sequence[Row]) -> Notes:
    """Return the notes of `rows`, those that differ in their amounts alone as one; why a case failed is a note too."""
    texts = [[text for text in (row.reason, *row.notes) if text] for row in rows]
    kinds: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for text in (text for some in texts for text in some):
        kinds.setdefault(_kind(text), []).append(_amounts(text))
    often = [kind for kind, amounts in kinds.items() if len(amounts) > 1]
    numbers = {kind: number for number, kind in enumerate(often, start=1)}
    vary = {kind: _varying(kinds[kind]) for kind in often}
    return Notes(
        shared=tuple(_pieces(kind, kinds[kind][0], vary[kind]) for kind in often),
        refers=tuple(", ".join(_reference(text, numbers, vary) for text in sorted(
                     (text for text in some if _kind(text) in numbers), key=lambda text: numbers[_kind(text)]))
                     for some in texts),
        own=tuple(tuple(text for text in some if _kind(text) not in numbers) for some in texts),
    )  # fmt: skip


def _kind(text: str) -> tuple[str, ...]:
    return tuple(_AMOUNT.split(text)[::2])


def _amounts(text: str) -> tuple[str, ...]:
    return tuple(_AMOUNT.split(text)[1::2])


def _varying(amounts: Sequence[tuple[str, ...]]) -> tuple[bool, ...]:
    return tuple(len(set(place)) > 1 for place in zip(*amounts, strict=True))


def _pieces(kind: tuple[str, ...], amounts: tuple[str, ...], vary: tuple[bool, ...]) -> tuple[str, ...]:
    pieces = [kind[0]]
    for amount, varies, text in zip(amounts, vary, kind[1:], strict=True):
        if varies:
            pieces.append(text)
        else:
            pieces[-1] += amount + text
    return tuple(pieces)


def _reference(text: str, numbers: dict[tuple[str, ...], int], vary: dict[tuple[str, ...], tuple[bool, ...]]) -> str:
    kind = _kind(text)
    own = [amount for amount, varies in zip(_amounts(text), vary[kind], strict=True) if varies]
    return f"{numbers[kind]} ({', '.join(own)})" if own else f"{numbers[kind]}"
