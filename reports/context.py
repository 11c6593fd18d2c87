"""What all sections share: the results, who is drawn how, and which cases may be compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from harness.case import Case
from reports.families import NAMES, NEUTRAL, Identity, identities
from reports.results import Result, Run
from reports.settings import Setting, importance, setting_of, setting_words
from reports.subjects import OWN_AXES, Subject, axes_words

FEW, MANY = 6, 20
"""Cases that a table of chosen ones shows: more where there are more variants, but not beyond MANY.

A table of all variants sums up more than MANY of them by family.
"""


@dataclass(frozen=True)
class Context:
    """A run, and the choices that every section makes alike."""

    run: Run

    @cached_property
    def results(self) -> list[Result]:
        """Every planned case with its outcome."""
        return self.run.results

    @cached_property
    def timed(self) -> list[Result]:
        """The cases that have a latency."""
        return [result for result in self.results if result.ms is not None]

    @cached_property
    def has_numbers(self) -> bool:
        """Whether any case was ok."""
        return any(result.ok for result in self.results)

    @property
    def distrusted(self) -> bool:
        """Whether the run's own control fails: its A/A cells differ."""
        return self.run.distrusted

    @cached_property
    def floor(self) -> float:
        """The smallest change that the run's A/A cells could have told from nothing, a share; no win is claimed below.

        0 where the run has none, and without end where its cells differ, since it then tells nothing from nothing.
        """
        noise = self.run.file.noise
        if self.distrusted:
            return math.inf
        return 0.0 if noise is None else noise.smallest_change or 0.0

    def why_without(self, probe: str, what: str) -> str:
        """Return why no case has `what`, which `probe` measures, in one sentence."""
        if not self.has_numbers:
            return "No case has numbers."
        wanted = probe in self.run.file.suite.measure.get("probes", [probe])
        if wanted and self.run.file.status != "complete":
            return f"The run ended before any {what} was measured."
        return f"No case has {what}: " + ("no layer gave any." if wanted else "the suite does not measure it.")

    @cached_property
    def identity(self) -> dict[str, Identity]:
        """Every variant by name, in the suite's order."""
        declared = [(variant.name, variant.layer) for variant in self.run.file.suite.variants]
        return identities(declared + [(result.case.variant, result.case.layer) for result in self.results])

    def told_as(self, variant: str) -> Identity:
        """Return under whose name a table of all variants counts `variant`: its own; its family's, if beyond MANY."""
        own = self.identity[variant]
        return own if len(self.identity) <= MANY else Identity(NAMES[own.family], own.family, 0)

    @cached_property
    def varying(self) -> frozenset[str]:
        """Fields of Setting that take more than one value in this run, where they apply."""
        settings = {setting_of(result.case) for result in self.results}
        return frozenset(f.name for f in fields(Setting) if len({getattr(s, f.name) for s in settings} - {None}) > 1)

    @cached_property
    def own_axes(self) -> dict[str, tuple[str, ...]]:
        """For each variant the layer axes that take more than one value in it."""
        values: dict[str, dict[str, set[object]]] = {}
        for result in self.results:
            seen = values.setdefault(result.case.variant, {axis: set() for axis in OWN_AXES})
            for axis in OWN_AXES:
                seen[axis].add(getattr(result.case, axis))
        several = self._several_widths
        return {
            name: tuple(axis for axis in OWN_AXES if len(seen[axis]) > 1) + (("d_ff",) if name in several else ())
            for name, seen in values.items()
        }

    @cached_property
    def _several_widths(self) -> set[str]:
        """Variants with more than one d_ff at one setting: a dense FFN matched to layers of several experts."""
        widths: dict[tuple[str, Setting], set[int]] = {}
        for result in self.results:
            widths.setdefault((result.case.variant, setting_of(result.case)), set()).add(result.case.d_ff)
        return {variant for (variant, _), seen in widths.items() if len(seen) > 1}

    @cached_property
    def settings(self) -> list[Setting]:
        """All settings with a timed case, the one that the first screen speaks of first."""
        groups: dict[Setting, list[str]] = {}
        for result in self.timed or self.results:
            groups.setdefault(setting_of(result.case), []).append(self.identity[result.case.variant].family)
        known = {setting: len({*families} - NEUTRAL) for setting, families in groups.items()}
        return sorted(groups, key=lambda s: (-known[s], *importance(s), -len(groups[s]), s.activation, s.gated))

    @property
    def headline(self) -> Setting | None:
        """The setting of the first screen: most families, forward, largest batch, width and length, most cases."""
        return self.settings[0] if self.settings else None

    @cached_property
    def largest_batch(self) -> list[Setting]:
        """The settings at the largest batch of those that differ in nothing else."""
        best: dict[Setting, Setting] = {}
        for s in self.settings:
            rest = replace(s, batch=0)
            if rest not in best or s.batch > best[rest].batch:
                best[rest] = s
        kept = {*best.values()}
        return [s for s in self.settings if s in kept]

    @cached_property
    def by_id(self) -> dict[str, Result]:
        """Every planned case by its id."""
        return {result.id: result for result in self.results}

    @cached_property
    def backends(self) -> frozenset[str | None]:
        """The implementations that ran, of all timed layers with experts."""
        return frozenset(result.backend for result in self.timed if result.case.experts)

    @cached_property
    def by_case(self) -> dict[Case, Result]:
        """Every timed case; of two of one case the first."""
        return {result.case: result for result in reversed(self.timed)}

    def at(self, setting: Setting) -> list[Result]:
        """Return the timed cases of `setting`."""
        return self._by_setting.get(setting, [])

    def measured(self, setting: Setting) -> list[Result]:
        """Return the cases of `setting` that have numbers, of whatever kind; those of `at` have a time among them."""
        return self._measured.get(setting, [])

    @cached_property
    def _measured(self) -> dict[Setting, list[Result]]:
        groups: dict[Setting, list[Result]] = {}
        for result in self.results:
            if result.ok:
                groups.setdefault(setting_of(result.case), []).append(result)
        return groups

    @cached_property
    def _by_setting(self) -> dict[Setting, list[Result]]:
        groups: dict[Setting, list[Result]] = {}
        for result in self.timed:
            groups.setdefault(setting_of(result.case), []).append(result)
        return groups

    def some(self, results: Sequence[Result]) -> list[Result]:
        """Return FEW of `results`, in their order: of every variant the first, all of those, then of each the next."""
        met: Counter[str] = Counter()
        turns: list[tuple[int, int]] = []
        for index, result in enumerate(results):
            turns.append((met[result.case.variant], index))
            met[result.case.variant] += 1
        chosen = sorted(turns)[: min(MANY, max(FEW, len(met)))]
        return [results[index] for index in sorted(index for _, index in chosen)]

    def subject(self, result: Result) -> Subject:
        """Return how tables and charts name `result`."""
        identity = self.identity[result.case.variant]
        axes = self.own_axes.get(result.case.variant, ())
        shown = dict.fromkeys(("experts", *axes))
        return Subject(
            variant=identity.name,
            family=identity.family,
            step=identity.step,
            detail=axes_words(result.case, shown),
            id=result.id,
        )

    def words(self, setting: Setting, *, without: Iterable[str] = ()) -> str:
        """Return `size S, batch 8, forward`; what never varies is left out, but size, batch and pass."""
        return setting_words(setting, self.varying, without=without)
