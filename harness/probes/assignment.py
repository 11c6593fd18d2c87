"""Assignments: who goes where when the case's `routing` says it, drawn once from the case's seed.

    balanced    tokens take the experts in turn, in an order drawn once (round robin, as MegaBlocks'
                uniform_expert_assignment and torchtitan's _debug_force_load_balance): loads within one of each other,
                in the batch and in each of its sequences
    iid         K distinct experts at random, all as likely: a random router, and what vLLM's tuner draws
    zipf:s      K distinct experts, drawn one after another by weights rank^-s; which expert has which rank is drawn
    hot:p       the share p of the tokens, to within one, goes to the hot expert first; all else is iid over the others
    replay      a stored assignment

Experts are distinct in each token, first choice first; without replacement, by the K largest of log weight + Gumbel
noise (Plackett-Luce; Kool et al. 2019, arXiv 1903.06059). NumPy draws them, so that every device gets the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from harness.case import Case
from harness.declare.assignments import Load, is_assigned, load_of
from harness.declare.plugins import is_plugin
from harness.declare.replays import AssignmentError, read_stored, unfit
from harness.declare.scopes import layers_of
from harness.layers.interface import Assignment

MOST_KEYS = 1 << 22
"""Random numbers drawn at once: 32 MiB of float64."""

Choice = NDArray[np.int64]
Weights = NDArray[np.float64]


def assignments(
    case: Case, device: torch.device, seed: int, folders: Sequence[str] = ()
) -> tuple[Assignment | None, ...]:
    """Return the assignment of each part of the layer of `case`; None where its router decides, or it has none.

    Raises:
        AssignmentError: The stored assignment is gone from `folders`, or is not what it was when the run was planned.
    """
    if is_plugin(case.layer):
        return (None,)
    parts = layers_of(case)
    if not is_assigned(case):
        return (None,) * len(parts)
    stored = _stored(case, folders) if load_of(case.routing).kind == "replay" else None
    routed = [part for part in parts if part.layer == case.layer]
    drawn = (
        draw(part, np.random.default_rng((seed, index))) if stored is None else stored[index % len(stored)]
        for index, part in enumerate(routed)
    )
    return tuple(on_device(device, next(drawn)) if part.layer == case.layer else None for part in parts)


def draw(case: Case, generator: np.random.Generator) -> Choice:
    """Return the experts [T, K] of the tokens of `case`, whose `routing` is none that is learned or stored."""
    load, tokens, experts = load_of(case.routing), case.sequence_tokens, case.experts or 1
    top_k = case.top_k or 1
    if load.kind == "balanced":
        return balanced(tokens, top_k, experts, case.batch, generator)
    if load.kind == "hot":
        return hot(tokens, top_k, experts, load.number, generator)
    return weighted(tokens, top_k, np.log(weights(load, experts, generator)), generator)


def weights(load: Load, experts: int, generator: np.random.Generator) -> Weights:
    """Return what the experts [E] are drawn by: all the same, or by a power of a rank that is drawn."""
    if load.kind == "iid":
        return np.ones(experts)
    assert load.kind == "zipf", load
    return np.asarray((1.0 + generator.permutation(experts)) ** -load.number)


def weighted(tokens: int, top_k: int, log_weights: Weights, generator: np.random.Generator) -> Choice:
    """Return `top_k` distinct experts [T, K] for each token, drawn one after another by `log_weights` [E]."""
    step = max(1, MOST_KEYS // len(log_weights))
    drawn: Choice = np.concatenate(
        [_largest(_noisy(min(step, tokens - start), log_weights, generator), top_k) for start in range(0, tokens, step)]
    )
    return drawn


def balanced(tokens: int, top_k: int, experts: int, sequences: int, generator: np.random.Generator) -> Choice:
    """Return [T, K] that loads the experts evenly to within one, in all and in each of `sequences`."""
    turn = np.arange(tokens * top_k, dtype=np.int64).reshape(sequences, -1, top_k) % experts  # [B, m, K]
    mixed = np.concatenate([generator.permutation(sequence) for sequence in turn])
    mixed = generator.permuted(mixed, axis=1)  # else one expert would be first choices only, and served before others
    named: Choice = generator.permutation(experts)[mixed]
    return named


def hot(tokens: int, top_k: int, experts: int, share: float, generator: np.random.Generator) -> Choice:
    """Return [T, K] where a `share` of the tokens has one expert as its first choice; nobody else has it, if K < E."""
    favourite = int(generator.integers(experts))
    keys = _noisy(tokens, np.zeros(experts), generator)
    drawn = np.zeros(tokens, dtype=bool)
    drawn[generator.permutation(tokens)[: round(share * tokens)]] = True
    keys[:, favourite] = np.where(drawn, np.inf, -np.inf)
    return _largest(keys, top_k)


def _noisy(tokens: int, log_weights: Weights, generator: np.random.Generator) -> Weights:
    return log_weights + generator.gumbel(size=(tokens, len(log_weights)))


def _largest(keys: Weights, top_k: int) -> Choice:
    """Return the `top_k` largest of each row of `keys` [n, E], largest first."""
    found = np.argpartition(-keys, top_k - 1, axis=1)[:, :top_k]
    order = np.argsort(-np.take_along_axis(keys, found, axis=1), axis=1, kind="stable")
    chosen: Choice = np.take_along_axis(found, order, axis=1).astype(np.int64)
    return chosen


def _stored(case: Case, folders: Sequence[str]) -> Choice:
    """Return the stored assignment [L, T, K] of `case`, which must be the one that it was planned with."""
    file = load_of(case.routing).file
    stored = read_stored(file, folders or ["."])
    if stored.digest != case.assignment:
        raise AssignmentError(f"{file} has changed since the run was planned", "the file as it was, or a new run")
    if reason := unfit(stored, case):
        raise AssignmentError(f"{file}: {reason}")
    return cast("Choice", stored.choice)


def on_device(device: torch.device, choice: Choice) -> Assignment:
    """Return `choice` [T, K] as a layer on `device` takes it."""
    there = torch.from_numpy(np.ascontiguousarray(choice)).to(device)
    return Assignment(there, torch.zeros_like(there, dtype=torch.bool))
