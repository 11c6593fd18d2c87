"""Every metric's name, unit, direction and format, said once.

A metric that is not in `METRICS` cannot be written to a record; printers ask here how to show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity that a probe can measure or a closed form can give."""

    name: str
    unit: str
    """Unit as printed; empty for a count or a share."""
    better: Better | None
    """Which direction is an improvement; None where neither is."""
    text: str
    """What it is, in one line."""
    exact: bool = False
    """True where the number has no noise: two runs of the same code must agree to the last digit."""


def _determinism(axis: str, varied: str) -> list[Metric]:
    return [
        Metric(f"det_{axis}", "", "higher", f"Share of rows bit-equal when {varied} changes; 1 is invariant.", True),
        Metric(
            f"det_{axis}_max_rel",
            "eps",
            "lower",
            f"Largest error over eps times the row's largest value when {varied} changes.",
            True,
        ),
        Metric(
            f"det_{axis}_changed",
            "",
            "lower",
            f"Share of rows that change by more than rounding when {varied} changes.",
            True,
        ),
        Metric(f"det_{axis}_cause", "", None, f"Why rows differ when {varied} changes.", True),
        Metric(f"det_{axis}_detail", "", None, f"Where rows begin to differ when {varied} changes.", True),
        Metric(f"det_{axis}_proof", "", None, f"What confirmed the cause when {varied} changes.", True),
        Metric(
            f"det_{axis}_bound",
            "",
            "lower",
            f"95 % upper bound of the share of rows that differ when {varied} changes, where none did.",
            True,
        ),
    ]


_PHASES = ("router", "dispatch", "experts", "combine", "exchange", "other")

_ALL = [
    Metric("latency_ms", "ms", "lower", "Time of one pass: cold cache on CUDA, as it comes on CPU."),
    Metric("latency_hot_ms", "ms", "lower", "Time of one pass back to back, caches warm (CUDA)."),
    Metric("latency_graph_ms", "ms", "lower", "Time of one pass replayed from a CUDA graph, caches warm (CUDA)."),
    Metric("graph_capturable", "", None, "Whether the pass can be captured in a CUDA graph: yes or no (CUDA).", True),
    Metric("host_ms", "ms", "lower", "Time the host spends to launch one pass."),
    Metric("compile_ms", "ms", "lower", "Time that torch.compile takes before the first result, caches cold."),
    Metric("tokens_per_s", "tokens/s", "higher", "Tokens through the layer per second."),
    Metric("params", "", None, "Trainable numbers in the layer.", True),
    Metric("params_active", "", None, "Parameters that one token uses.", True),
    Metric("flops_model", "FLOP", "lower", "The layer's mathematics: router and routed rows, no padding.", True),
    Metric("flops_routed", "FLOP", "lower", "Model FLOPs less those of dropped assignments.", True),
    Metric("flops_executed", "FLOP", "lower", "All matmul rows that are run, padding included.", True),
    Metric("flops_counted", "FLOP", "lower", "Matmul FLOPs that torch's counter saw.", True),
    Metric("padding_efficiency", "", "higher", "Routed FLOPs over executed FLOPs.", True),
    Metric("tflops", "TFLOP/s", "higher", "Executed FLOPs per second."),
    Metric("mfu", "", "higher", "Model FLOPs per second over the measured matmul ceiling."),
    Metric("hfu", "", "higher", "Executed FLOPs per second over the measured matmul ceiling."),
    Metric("roofline_fraction", "", "higher", "Roofline time over measured time."),
    Metric("memory_weights_bytes", "B", "lower", "Bytes of the layer's weights.", True),
    Metric("memory_saved_bytes", "B", "lower", "Bytes saved for backward, weights and input left out.", True),
    Metric("memory_peak_bytes", "B", "lower", "Allocator peak of one pass above weights and input.", True),
    Metric("memory_peak_moment", "", None, "Where the peak stands: a phase of the forward pass, backward, step.", True),
    Metric("memory_predicted_bytes", "B", None, "The closed form of the peak of one pass.", True),
    Metric("memory_fake_bytes", "B", None, "The peak of one pass under fake tensors, by torch's shape rules.", True),
    Metric("memory_inputs_bytes", "B", "lower", "Bytes of the input and of the gradient that comes from above.", True),
    Metric("memory_saved_at_peak_bytes", "B", "lower", "Bytes saved for backward that stand at the peak.", True),
    Metric("memory_gradients_bytes", "B", "lower", "Bytes of weights' and input's gradients at the peak.", True),
    Metric("memory_optimizer_bytes", "B", "lower", "Bytes that the optimizer keeps between steps.", True),
    Metric("memory_temporaries_bytes", "B", "lower", "Bytes at the peak that no other role explains.", True),
    Metric("memory_workspace_bytes", "B", "lower", "Allocator's peak less that of all tensors that torch shows.", True),
    Metric("memory_worst_bytes", "B", "lower", "Allocator peak over routings: uneven ones, all to one expert.", True),
    Metric("memory_reserved_bytes", "B", "lower", "Bytes that the caching allocator holds (CUDA)."),
    Metric("load_cv", "", "lower", "Standard deviation of expert load over its mean.", True),
    Metric("load_max_over_mean", "", "lower", "Load of the busiest expert over the mean.", True),
    Metric("drop_rate", "", "lower", "Share of assignments dropped by capacity.", True),
    Metric("fully_dropped", "", "lower", "Share of tokens that no expert takes, or capacity drops altogether.", True),
    Metric("distinct_experts", "", None, "Experts that receive at least one token.", True),
    Metric("router_entropy", "nat", None, "Mean entropy of the router's distribution.", True),
    Metric("router_margin", "", None, "Median of the last chosen logit less the first one not chosen.", True),
    *(Metric(f"{name}_null", unit, None, f"{text} of a balanced random router, expected.", True)
      for name, unit, text in (("load_cv", "", "load_cv"), ("load_max_over_mean", "", "load_max_over_mean"),
                               ("drop_rate", "", "drop_rate"), ("distinct_experts", "", "distinct_experts"))),
    Metric("balance_switch", "", "lower", "Switch's loss over all K choices, without coefficient; 1 is balance.", True),
    Metric("balance_importance", "", "lower", "Squared variation of the experts' probabilities; 0 is balance.", True),
    Metric("balance_load", "", "lower", "V-MoE's load loss, which needs noise in training; 0 is balance.", True),
    Metric("router_z", "", "lower", "Mean squared log-sum-exp of the router's logits (ST-MoE's z-loss).", True),
    Metric("exchange_bytes", "B", "lower", "Bytes that ranks send each other in one pass, all together.", True),
    Metric("exchange_predicted_bytes", "B", None, "The closed form of exchange_bytes; dropless, for even loads.", True),
    Metric("exchange_imbalance", "", "lower", "Bytes of the busiest rank over the mean, at the most uneven.", True),
    Metric("exchange_message_imbalance", "", "lower", "Largest message over the mean, at the most uneven.", True),
    Metric("exchange_summed_bytes", "B", "lower", "Bytes of gradients that each rank sums with the others.", True),
    Metric("exchange_overlap", "", "higher", "Share of the exchange's time in which the device also computes (CUDA)."),
    Metric("link_latency_us", "µs", "lower", "Latency of a message between two ranks, all sending at once: alpha."),
    Metric("link_gb_per_s", "GB/s", "higher", "Bytes a second that a rank sends, all sending at once: beta."),
    Metric("energy_j_per_mtoken", "J/Mtoken", "lower", "Energy per million tokens."),
    Metric("energy_net_j_per_mtoken", "J/Mtoken", "lower", "Energy per million tokens, less the idle device's."),
    Metric("power_w", "W", None, "Mean power while the layer runs back to back."),
    Metric("power_idle_w", "W", None, "Power of the device at rest, just before."),
    *(Metric(f"phase_{p}_share", "", None, f"Share of the forward time spent in {p}.") for p in _PHASES),
    *(Metric(f"phase_{p}_backward_share", "", None, f"Share of the backward time spent in {p}.") for p in _PHASES),
    Metric("pass_forward_share", "", None, "Share of the unprofiled training pass that is forward."),
    Metric("pass_backward_share", "", None, "Share of the unprofiled training pass that is backward."),
    Metric("phase_overhead", "", None, "Time of the profiled pass over that of the same pass unprofiled."),
    *(Metric(f"phase_{p}_roofline", "", "higher", f"Roofline time over measured time of {p}, forward.")
      for p in _PHASES if p not in ("exchange", "other")),
    Metric("experts_floor_ms", "ms", None, "Time to read the weights of the experts that tokens reach, from memory."),
    *_determinism("run", "nothing"),
    *_determinism("batch_size", "the number of sequences beside it"),
    *_determinism("position", "its place in the batch"),
    *_determinism("composition", "what stands beside it"),
    *_determinism("padding", "the padding beside it"),
    *_determinism("drops", "the capacity, companions held,"),
    *_determinism("environment", "the number of threads, or the mode of kernels,"),
    *_determinism("causal", "a later token"),
    *_determinism("ranks", "the number of ranks"),
    Metric("flip_rate", "", "lower", "Share of tokens whose set of experts changes with the batch size.", True),
    Metric("flip_rate_predicted", "", None, "Share of tokens whose margin is below twice the logits' change.", True),
    Metric("tie_flip_rate", "", "lower", "Share of near-tie tokens whose experts change with the batch size.", True),
    Metric("tie_flips_left", "", "lower", "Share of them that change beyond rounding, the routing replayed.", True),
    Metric("order_flip_rate", "", "lower", "Share of tokens whose experts stay and change places.", True),
]  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""All metrics by name, in the order in which printers list them."""

NOISY_SERIES = frozenset({
    "phase_roofline_beyond_cache", "phase_exchange_share_by_rank",
    "energy_windows_j_per_mtoken", "energy_windows_w", "energy_windows_s", "energy_pass_ms", "energy_counter_s",
    "energy_temperature_c",
    "memory_num_alloc_retries", "memory_num_ooms", "memory_inactive_split_bytes", "memory_rounding_bytes",
})  # fmt: skip
"""Series of a record that a clock, a sensor or a caching allocator gave. All others are exact, as `Metric.exact` is."""

WIDE = 1000
"""The factor beyond which an interval's ends, and the per cent beyond which a spread, are noise and not printed."""

SMALL_DIGITS = 3.55
"""The leading digits of a half width below which one of them is too coarse."""

BEYOND = 1e15
"""The size from which a number is none that anybody measures, and is printed by its power of ten."""

_BINARY = ["B", "KiB", "MiB", "GiB", "TiB"]
_DECIMAL = ["", "k", "M", "G", "T", "P"]


def show(name: str, value: float | str | None, low: float | None = None, high: float | None = None) -> str:
    """Return `value` as people read it, with unit, and with no more digits than its interval supports."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, str):
        return value
    metric = METRICS[name]
    if metric.unit == "B":
        return show_bytes(value)
    if metric.unit == "FLOP":
        return show_scaled(value, "FLOP")
    if name in ("params", "params_active"):
        return show_scaled(value, "")
    text = fixed(value, digits(value, low, high))
    return f"{text} {metric.unit}" if metric.unit else text


def digits(value: float, low: float | None = None, high: float | None = None) -> int:
    """Return how many decimals `value` deserves: two digits of its interval and two of itself, or three of itself."""
    span = high - low if low is not None and high is not None else 0.0
    if span > 0:
        return max(0, min(6, 1 - _magnitude(min(span, abs(value) or span))))
    if value == 0:
        return 0
    return max(0, min(6, 2 - _magnitude(abs(value))))


def show_bytes(value: float) -> str:
    """Return bytes in powers of 1024 with three significant digits: `1.21 GiB`."""
    step = 0 if not 1 <= value < math.inf else min(len(_BINARY) - 1, int(math.log2(value)) // 10)
    return f"{fixed(value / 1024**step, 0 if step == 0 else digits(value / 1024**step))} {_BINARY[step]}"


def show_scaled(value: float, unit: str) -> str:
    """Return a count in powers of 1000 with three significant digits: `2.42 GFLOP`, `37.8 M`."""
    step = 0 if not 1000 <= value < math.inf else min(len(_DECIMAL) - 1, int(math.log10(value)) // 3)
    number = fixed(value / 1000**step, 0 if step == 0 else digits(value / 1000**step))
    return f"{number} {_DECIMAL[step]}{unit}".rstrip()


def show_ratio(value: float, low: float | None = None, high: float | None = None) -> str:
    """Return a ratio with the last digit that its interval can bear: `0.84×`."""
    return f"{_number(value, low, high)}×"


def show_number(value: float, low: float | None = None, high: float | None = None) -> str:
    """Return a number without unit, such as a slope, with the last digit that its interval can bear."""
    return _number(value, low, high)


def show_interval(value: float, low: float, high: float) -> str:
    """Return the interval around `value` in the digits that `show_ratio` and `show_number` give it.

    An end is printed as 0 only where the interval holds 0: a ratio's never does. One so wide that it tells nothing has
    its ends bounded: `[< 0.001, > 1000]`.
    """
    if _is_wide(low, high):
        return f"[{_bounded(low)}, {_bounded(high)}]"
    places = _places(value, low, high)
    if low <= 0 <= high:
        return f"[{_minus(low, places)}, {_minus(high, places)}]"
    return f"[{_minus(low, max(places, _first(low)))}, {_minus(high, max(places, _first(high)))}]"


def show_percent(share: float) -> str:
    """Return a share as per cent; never `0 %` or `100 %` unless it is."""
    for places in range(4):
        text = fixed(100 * share, places)
        if share in (0, 1) or float(text) not in (0, 100):
            break
    return f"{text.replace('-', '−')} %"


def show_spread(share: float) -> str:
    """Return half an interval's width as per cent, with one decimal below 10 %: `0.8 %`; beyond 1000 %, only that."""
    if share > WIDE / 100:
        return f">{WIDE} %"
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def show_count(value: float) -> str:
    """Return a whole number with thousands set apart: `12,345`."""
    return f"{value:,.0f}" if abs(value) < BEYOND else fixed(value, 0)


def fixed(value: float, places: int) -> str:
    """Return `value` with so many decimals; one of BEYOND or more, which would have no end, as `1.2e150`."""
    return f"{value:.{places}f}" if abs(value) < BEYOND else f"{value:.3g}".replace("e+", "e")


def _number(value: float, low: float | None, high: float | None) -> str:
    return _minus(value, _places(value, low, high))


def _places(value: float, low: float | None, high: float | None) -> int:
    """One digit of the interval's half width (or two: `_finest`), else two of the value; hundredths at 1."""
    span = (high - low) / 2 if low is not None and high is not None else 0.0
    size = abs(value)
    if span > 1e-9 * size:  # below, it is the noise of floating point itself
        places = _finest(span, size)
        if low is None or high is None or low <= 0 <= high:  # far inside an interval that holds 0, a value may be 0
            return max(0, min(4, max(places, min(_first(size), places + 2))))
        places = max(0, min(4, places), _first(size))
        while places < 3 and not low <= 1 <= high and 1 in (round(end, places) for end in (value, low, high)):
            places += 1  # 1 says `the same`: what an interval leaves out, none of its numbers may read as
        return places
    return 2 if 0.1 <= size < 10 or size == 0 else max(0, min(4, 1 - _magnitude(size)))


def _finest(span: float, size: float) -> int:
    """Return the last decimal told of a half width: its first digit's, or its second's where the first is small.

    One digit of a half width of 1.4 would print 4.4 [2.6, 5.3] as 4 [3, 5], which is not the interval that was
    measured. Where a digit is small is the Particle Data Group's rule (Review of Particle Physics, introduction, 5.3);
    here it ends at hundredths, and at 10.
    """
    places = -_magnitude(span)
    return places + (places < 2 and size < 10 and span * 10.0**places < SMALL_DIGITS)


def _is_wide(low: float, high: float) -> bool:
    if low <= 0 <= high:
        return high - low > WIDE
    near, far = sorted((abs(low), abs(high)))
    return far > WIDE * near


def _bounded(end: float) -> str:
    """Return one end of a wide interval: `0.02`, and `< 0.001` or `> 1000` for what lies beyond."""
    sign, size = "−" if end < 0 else "", abs(end)
    if size > WIDE:
        return f"{'<' if end < 0 else '>'} {sign}{WIDE}"
    if 0 < size < 1 / WIDE:
        return f"{'>' if end < 0 else '<'} {sign}{1 / WIDE}"
    return f"{sign}{size:.{_first(size)}f}"


def _magnitude(size: float) -> int:
    """Return the power of ten of a size above 0; 0 where it has none, as the ratio to next to nothing."""
    return math.floor(math.log10(size)) if 0 < size < math.inf else 0


def _first(value: float) -> int:
    """Return the decimals at which `value` has its first significant digit; 0 from 1 on."""
    return max(0, -_magnitude(abs(value))) if value else 0


def _minus(value: float, places: int) -> str:
    text = fixed(value, places)
    return f"−{text[1:]}" if text.startswith("-") and float(text) != 0 else text.lstrip("-")
