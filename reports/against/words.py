"""What became of a baseline's cases, in one sentence: times first, then what has no noise, then what is lost."""

from __future__ import annotations

from collections.abc import Sequence

from harness.declare.policy import USUAL_THRESHOLD
from harness.metrics import show_interval, show_ratio, show_spread
from reports.versus.versus import TIMED, Row, Versus
from reports.words import Sentence, Span, count, join, sentence

KINDS = {"memory_": "memory", "det_": "determinism", "flops_": "FLOPs", "params": "parameters"}
"""How names of metrics without noise begin, and what they are about; the others are about routing."""
SINGULAR = ("memory", "determinism", "routing")


def summary(versus: Versus) -> Sentence:
    """Return what became of the baseline's cases, as the beginning of a sentence."""
    judged = [row for row in versus.rows if row.change is not None]
    parts: list[Sentence] = [_forbidden(versus)] if versus.forbidden else []
    parts += [_times(versus, judged)] if judged else []
    parts += [_exact(versus)] if _exact(versus) else []
    if not any(row.metric for row in versus.rows):
        parts.append(sentence(Span("no case has numbers in both runs", "strong"), ", and nothing could be compared"))
    lost = [count(number, f"{word} case") for word in ("failed", "missing") if (number := _lost(versus, word))]
    parts += [sentence(join(lost))] if lost else []
    if not parts:
        return sentence("nothing could be compared")
    spans = list(parts[0])
    for part in parts[1:]:
        spans += [Span("; "), *part]
    return tuple(spans)


def _forbidden(versus: Versus) -> Sentence:
    why = join(dict.fromkeys(str(one.forbids) for one in versus.forbidden))
    return sentence(Span("times are not comparable", "strong"), f" ({why})")


def _times(versus: Versus, judged: Sequence[Row]) -> Sentence:
    cases = len({row.id for row in judged})
    slower = [row for row in judged if row.verdict == "slower"]
    faster = len({row.id for row in judged if row.verdict == "faster"})
    gain = f"; {faster} {'is' if faster == 1 else 'are'} faster" if faster else ""
    if versus.noise.distrusted:
        return sentence("no time is told slower or faster: a run’s own control fails")
    if not slower:
        floor = show_spread(versus.noise.floor)
        blind = f" (no change below the noise floor of {floor} can be told)" if is_blind(versus) else ""
        return sentence(Span(f"no regression of times beyond noise in {count(cases, 'case')}", "strong"), blind, gain)
    worst = max((row.change.ratio for row in slower if row.change), key=lambda ratio: ratio.value)
    ends = (worst.value, worst.low, worst.high)
    number = len({row.id for row in slower})
    verb = "is" if number == 1 else "are"
    by = "at " if number == 1 else "the worst at "
    return sentence(
        Span(f"{number} of {count(cases, 'case')} {verb} slower", "strong"),
        f", {by}",
        Span(show_ratio(*ends), "strong"),
        " ",
        Span(show_interval(*ends), "interval"),
        " the baseline’s time",
        gain,
    )


def is_blind(versus: Versus) -> bool:
    """Return whether noise hides more than a gate lets pass, which who reads of no regression must know."""
    return versus.noise.floor > USUAL_THRESHOLD


def limit(versus: Versus) -> str:
    """Return the name of what a change of a time must exceed to be told; two do it, and the larger decides."""
    return "the noise floor" if is_blind(versus) else "the gate’s threshold"


def _exact(versus: Versus) -> Sentence:
    """Return what happened to memory, FLOPs and determinism, which have no noise."""
    rows = [row for row in versus.rows if row.metric is not None and row.metric not in TIMED]
    worse = {row.id for row in rows if row.verdict == "worse"}
    if worse:
        kinds = join(dict.fromkeys(kind_of(row.metric) for row in rows if row.verdict == "worse"))
        return sentence(Span(f"{kinds} {_are(kinds)} worse in {count(len(worse), 'case')}", "strong"))
    changed = {row.id for row in rows if row.verdict in ("changed", "better")}
    if changed:
        return sentence(f"of what has no noise something changed in {count(len(changed), 'case')}, nothing for worse")
    return sentence("memory, FLOPs and determinism are the same") if rows else ()


def _are(kinds: str) -> str:
    return "is" if kinds in SINGULAR else "are"


def kind_of(metric: str | None) -> str:
    """Return which kind of number without noise a metric is."""
    name = metric or ""
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), "routing")


def _lost(versus: Versus, word: str) -> int:
    return sum(row.metric is None and row.verdict == word for row in versus.rows)
