"""What a checkout says of itself: a program for that checkout's interpreter, with its own code first on the path.

    python -P described.py ROOT < cases.json

It reads the cases of a plan, each a pair of variant and axes, and prints one JSON document. It may use of a checkout
only what every version has.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Print the environment, the identity, the worker's protocol, and the cases that this version does not know."""
    sys.path.insert(0, sys.argv[1])
    from harness.engine.environment import environment, harness_identity
    from harness.engine.protocol import VERSION

    unknown = [found for variant, case in json.load(sys.stdin) if (found := _unknown(variant, case))]
    told = {"environment": environment(), "harness": harness_identity(), "protocol": VERSION, "unknown": unknown}
    json.dump(told, sys.stdout)


def _unknown(variant: str, case: dict[str, Any]) -> str | None:
    """Return what is wrong with a case for this version; None where it knows all of it."""
    from harness.case import Case

    try:
        Case.from_dict(variant, case)
    except (TypeError, ValueError, KeyError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
