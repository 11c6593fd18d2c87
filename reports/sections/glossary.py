"""Glossary: the words of the page, one line each."""

from __future__ import annotations

from dataclasses import dataclass

from harness.declare.policy import USUAL_THRESHOLD
from harness.judge.verdict import MARGIN
from harness.metrics import show_percent
from reports.sections.base import Section
from reports.words import sentence

TERMS = (
    ("A/A cell", "a case that every round times twice, to see what a layer’s time differs by from its own."),
    ("Active parameters", "the parameters that one token passes through."),
    ("Bit-equal", "every bit of the row’s output is the same."),
    ("Block", "attention and the layer, each after a norm and added to what went in."),
    ("Capacity", "how many rows an expert accepts; rows above it are dropped."),
    ("Case", "one fully resolved point of the sweep."),
    ("Combine", "writing the experts’ results back to the tokens."),
    ("Dense mixture", "every expert sees every token; the outputs are averaged by a softmax gate."),
    ("Dispatch", "bringing tokens, or mixtures of tokens, to the experts."),
    ("Dropless", "top-k routing without a capacity; experts get as many rows as choose them."),
    ("Equal FLOPs", "model FLOPs of one pass within 10 % of each other; 2 a multiply-add, padding left out."),
    ("Expert choice", "each expert picks its tokens, so that every expert has the same load."),
    ("Experts, the phase", "the products of all FFNs; in a model those of its dense blocks too."),
    ("Gate’s threshold", f"what a gate lets a time change by: {show_percent(USUAL_THRESHOLD)}, or as its policy says."),
    ("Interval", "95 %, over rounds, so over processes."),
    ("Load", "the assignments that an expert is given, before any is dropped."),
    ("Model", "a stack of blocks, some or all with the layer; with a vocabulary, embedding and head too."),
    ("Noise floor", "the smallest change of a time that the run’s A/A cells could have told from nothing."),
    ("Other, the phase", "what no phase claims: attention, norms, residuals, embedding and head."),
    ("Random router", "one that sends each token to k experts, all as likely."),
    ("Round", "one visit of every case, in random order, in a fresh process."),
    ("Same", f"a ratio whose whole interval lies within {show_percent(MARGIN)} of 1."),
    ("Slot", "a weighted mean of all tokens of a sequence, the input of a Soft MoE expert."),
    ("Token choice", "each token picks its k experts (top-k)."),
    ("Undecided", "a ratio whose interval is too wide to tell, or that may be chance once all are counted."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Glossary(Section):
    """The section's data."""

    id: str = "glossary"
    name: str = "Glossary"
    question: str = "What do the words mean?"

    terms: tuple[tuple[str, str], ...] = TERMS


def build() -> Glossary:
    """Return the words and their meanings."""
    return Glossary(
        finding=sentence(f"{len(TERMS)} words, one line each."),
    )
