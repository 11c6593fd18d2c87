"""Closed forms against the built layer and torch's counter, for every case of every shipped suite."""

from __future__ import annotations

from itertools import groupby

import pytest

from harness.declare.adapters import ADAPTERS
from harness.declare.costs import resolve_backend
from harness.declare.plan import PlannedCase, plan
from harness.declare.shipped import shipped_suites
from harness.declare.suite import load_suite
from harness.declare.visits import build_key
from harness.devices.names import memory_bytes
from harness.layers import build
from harness.probes.flop_audit import uncounted
from harness.probes.flop_formulas import count_flops
from harness.probes.subject import make_subject

COUNTED_TOKENS, COUNTED_FLOPS, COUNTED_BYTES = 256, 2 * 10**10, 1 << 30
"""Longer sequences take minutes to count, a pass of more FLOPs, as a GPU's suites have, a second or more, and more
bytes of weights and peak half a minute, or more memory than there is. Plug-ins have no closed form, and adapters are
held to it by their tests."""


def _by_layer(planned: PlannedCase) -> str:
    return build_key(planned.case).key


@pytest.mark.parametrize("name", shipped_suites())
def test_parameters_and_flops_are_exact(name: str) -> None:
    cases = plan(load_suite(name), memory_bytes=memory_bytes("cpu")).cases
    assert cases
    for _, alike in groupby(sorted(cases, key=_by_layer), key=_by_layer):
        layer, audited = None, set[str]()
        for planned in alike:
            if planned.cost is None or planned.case.backend in ADAPTERS or planned.case.tokens > COUNTED_TOKENS:
                continue
            held = planned.cost.weight_bytes + planned.cost.memory_predicted
            if planned.cost.flops_executed > COUNTED_FLOPS or held > COUNTED_BYTES:
                continue
            assert planned.fits, f"{planned.case.id} does not fit here: count it on a machine where it does"
            layer = layer or build(planned.case)
            layer.adopt(planned.case, resolve_backend(planned.case))
            assert sum(weight.numel() for weight in layer.parameters()) == planned.cost.params, planned.case.id
            subject = make_subject(planned.case, layer)
            if planned.case.pass_ not in audited:  # which operations there are does not hang on how large they are
                assert uncounted(subject.run) == []
                audited.add(planned.case.pass_)
            assert count_flops(subject.run) == planned.cost.flops_executed, planned.case.id
