"""`nox -s gpu`: all that needs CUDA, on a real one, in one command of at most eight minutes.

    python -m tests.gpu.session [-o DIR] [--minutes 8]

It needs the checkout and an environment that holds the harness's own dependencies and pytest; the torch of that
environment is taken as it is. DIR becomes one folder of records: `summary.md` is its page, `summary.json` the same as
data, and beside them stand the runs, the tests' results and every step's log. `--device cpu` rehearses the whole way at
small sizes.

Exit codes: 0 every step came to its end, 3 some did not (the summary says which and why), 5 no such device, 130
interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from harness.cli.exits import Exit
from harness.declare.shipped import shipped_suites
from harness.devices.interface import NoSuchDevice
from harness.devices.names import Detected, detect
from tests.gpu.findings import DOCTOR, gather
from tests.gpu.steps import HARNESS, ROOT, Ended, Step, run_step
from tests.gpu.summary import write_summary

MINUTES = 8.0
LEAST_S = 10.0
"""A step that would have less than this is not begun."""
SUMMARY_S = 10.0
"""Kept for the summary."""
_RUN = (*HARNESS, "run", "{suite}", "--device", "{device}", "--budget", "{budget}s", "-o")
_SMALL = ("--set", "d_model=32", "--set", "d_ff=32", "--set", "experts=4", "--set", "top_k=2", "--set", "tokens=8")


def steps(device: str) -> list[Step]:
    """Return what the session does, in order; the limits sum to less than its eight minutes."""
    sweep = "gpu" if device == "cuda" else "smoke"
    found = [
        Step(
            "doctor", "ceilings and noise floor", 60.0, (*HARNESS, "doctor", "--device", "{device}", "--json"), DOCTOR
        ),
        Step("tests", "the tests that need CUDA", 75.0, _pytest()),
        _run("sweep", sweep, "a sweep", 145.0),
        _run("energy", "gpu-energy", "energy", 135.0, narrow=_SMALL),
    ]
    if "determinism" in shipped_suites():
        found.append(_run("determinism", "determinism", "causes of determinism", 50.0, "--set", "batch=8"))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every step; return the exit code."""
    options = _parse(arguments)
    try:
        device = detect(options.device)
    except NoSuchDevice as error:
        print(f"gpu: {error}; nothing was measured", file=sys.stderr)
        return Exit.NO_DEVICE
    folder: Path = options.output or Path("runs") / f"gpu-{datetime.now():%Y%m%d-%H%M%S}"
    folder = folder.resolve()  # steps stand in the checkout, wherever this was called
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        print(f"gpu: {folder} is not empty: name a new folder with -o", file=sys.stderr)
        return Exit.USAGE
    start = time.monotonic()
    ended, interrupted = run_all(steps(device.kind), folder, device, start + 60 * options.minutes - SUMMARY_S)
    print(write_summary(folder, gather(folder, device, ended, time.monotonic() - start)))
    return _exit_code(ended, interrupted)


def run_all(todo: Sequence[Step], folder: Path, device: Detected, deadline: float) -> tuple[list[Ended], bool]:
    """Run the steps in order, each within what is left for it; return what came of each, and whether Ctrl-C came."""
    ended: list[Ended] = []
    for number, step in enumerate(todo):
        left = deadline - time.monotonic()
        limit = min(left, max(step.limit_s, left - sum(later.limit_s for later in todo[number + 1 :])))
        if limit < LEAST_S:
            ended.append(Ended(step, 0.0, None, f"it was not begun: {max(0.0, left):.0f} s were left"))
            continue
        _tell(f"{step.name}: {step.what}, at most {limit:.0f} s ({left:.0f} s left in all)")
        try:
            ended.append(run_step(step, folder, device.kind, limit, _tell))
        except KeyboardInterrupt:
            ended.append(Ended(step, 0.0, None, "it was interrupted"))
            return ended, True
        if ended[-1].words:
            _tell(f"{step.name}: {ended[-1].words}")
        if ended[-1].code == Exit.NO_DEVICE:
            break  # nothing that follows has a device either
    return ended, False


def _run(name: str, suite: str, what: str, limit_s: float, *more: str, narrow: tuple[str, ...] = ()) -> Step:
    words = (*(word.replace("{suite}", suite) for word in _RUN), f"{{folder}}/{name}", *more)
    return Step(name, f"{what} (suite {suite})", limit_s, words, narrow=narrow)


def _pytest() -> tuple[str, ...]:
    """Return the command of the tests; another machine's warnings are its own, and fail none of them.

    Only files that have such a test are named: importing all of them takes longer than running these.
    """
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in path.read_text("utf-8")]
    own = ("-m", "cuda", "-W", "default", "-p", "no:cacheprovider", "--junitxml", "{folder}/tests.xml")
    return ("-m", "pytest", *(str(path.relative_to(ROOT)) for path in files), *own)


def _exit_code(ended: Sequence[Ended], interrupted: bool) -> Exit:
    if interrupted:
        return Exit.INTERRUPTED
    if any(one.code == Exit.NO_DEVICE and one.step.name != "tests" for one in ended):
        return Exit.NO_DEVICE
    return Exit.FAILED_CASES if any(one.words for one in ended) else Exit.FINE


def _tell(words: str) -> None:
    print(f"gpu: {words}", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.session", description="Run all that needs CUDA.")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="new folder for the records; default: runs/")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time in all; default: 8")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses at small sizes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
