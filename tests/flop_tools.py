"""What other FLOP counters say of five layers; `nox -s flop-tools`, or `python -m tests.flop_tools`.

Prints a table of reported over true matmul FLOPs. Tools that report multiply-adds are doubled. One that is not
installed, or fails, is named with why; ours is the last row, and a test holds it to 1.000.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.probes.flop_formulas import count_flops
from tests.five_layers import LAYERS, D, T
from tests.reliability import markdown_table, plain_table, write_section

Tool = Callable[[nn.Module, Tensor], float]


def stock(layer: nn.Module, x: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        layer(x)
    return float(counter.get_total_flops())


def fvcore(layer: nn.Module, x: Tensor) -> float:
    from fvcore.nn import FlopCountAnalysis

    return 2 * float(FlopCountAnalysis(layer, x).unsupported_ops_warnings(False).total())


def ptflops(backend: str) -> Tool:
    def count(layer: nn.Module, x: Tensor) -> float:
        from ptflops import get_model_complexity_info

        told = {"as_strings": False, "print_per_layer_stat": False, "verbose": False, "backend": backend}
        macs, _ = get_model_complexity_info(layer, (T, D), input_constructor=lambda _: {"x": x}, **told)
        return 2 * float(macs)

    return count


def thop(layer: nn.Module, x: Tensor) -> float:
    from thop import profile

    macs, _ = profile(layer, inputs=(x,), verbose=False)
    return 2 * float(macs)


def calflops(layer: nn.Module, x: Tensor) -> float:
    from calflops import calculate_flops

    told = {"output_as_string": False, "print_results": False, "print_detailed": False}
    flops, _, _ = calculate_flops(model=layer, kwargs={"x": x}, **told)
    return float(flops)


def deepspeed(layer: nn.Module, x: Tensor) -> float:
    from deepspeed.profiling.flops_profiler import get_model_profile

    flops, _, _ = get_model_profile(layer, args=(x,), print_profile=False, detailed=False, as_string=False, warm_up=0)
    return float(flops)


def ours(layer: nn.Module, x: Tensor) -> float:
    return count_flops(lambda: layer(x))


TOOLS: dict[str, tuple[str, Tool]] = {
    "FlopCounterMode": ("torch", stock),
    "fvcore": ("fvcore", fvcore),
    "ptflops, pytorch": ("ptflops", ptflops("pytorch")),
    "ptflops, aten": ("ptflops", ptflops("aten")),
    "thop": ("thop", thop),
    "calflops": ("calflops", calflops),
    "DeepSpeed": ("deepspeed", deepspeed),
    "this harness": ("torch", ours),
}
"""By name: the package whose version is told, and the count."""


def share(tool: Tool, name: str) -> str:
    """Return what `tool` says of the layer `name` over what is true, with three decimals; or the error's name."""
    kind, true = LAYERS[name]
    torch.manual_seed(0)
    layer, x = kind().eval(), torch.randn(T, D)
    try:
        with torch.no_grad(), _silence():
            return f"{tool(layer, x) / true:.3f}"
    except ImportError:
        return "–"
    except Exception as error:
        return type(error).__name__


def rows() -> list[tuple[str, ...]]:
    """Return the table, its head first."""
    shares = [
        (f"{title} {_version(of)}", *(share(tool, name) for name in LAYERS)) for title, (of, tool) in TOOLS.items()
    ]
    return [("tool", *LAYERS), *shares]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the tools print, log and warn out of the table."""
    printed = contextlib.redirect_stdout(io.StringIO())
    with warnings.catch_warnings(), printed, contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def main() -> None:
    """Print the table, and keep it where asked."""
    parser = argparse.ArgumentParser(description="What other FLOP counters say of five layers.")
    parser.add_argument("--keep", type=Path, help="a Markdown file with a place for the table")
    keep = parser.parse_args().keep
    table = rows()
    print(plain_table(table))
    if keep is not None:
        write_section(keep, "flop-tools", markdown_table(table))


if __name__ == "__main__":
    main()
