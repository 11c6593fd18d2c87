"""FLOPs that serve: those of the mathematics, less the rows of assignments that found no room.

Three counts are kept apart. `flops_model` is what the layer is asked for, `flops_routed` what of it is done, and
`flops_executed` all that is run, with empty slots and one-hot products. Routed over executed is the padding efficiency.
"""

from __future__ import annotations

from harness.case import Case
from harness.declare.costs import cost, row_flops
from harness.declare.letters import letters


def flops_routed(case: Case, dropped: int) -> int:
    """Return `flops_model` of the case's pass less that of `dropped` assignments, counted over all layers that route.

    A dropped row is spared in the forward pass and twice in the backward pass; the router has scored it all the same.
    """
    n = letters(case)
    return cost(case).flops_model - (3 if case.trains else 1) * dropped * row_flops(n, n.F)
