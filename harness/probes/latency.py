"""Latency: one round of one case.

Method: an untimed call, blocks sized from the clock's resolution, then blocks until their times have settled and the
visit's time is used; what came before they had settled is left out and kept beside the samples. Raw samples (seconds
per call of each block, in ms) go to the journal; the fold takes the median of a round and the interval over rounds.
After nvbench (blocks, cold and hot) and torch.utils.benchmark (block size); `docs/method.md` says what differs.

A compiled case compiles in the untimed call. A compilation in a timed block makes the case incorrect: its time would be
the compiler's. So does work that the layer leaves on a stream that the clock does not time.
"""

from __future__ import annotations

from contextlib import nullcontext

from harness.devices.interface import Device
from harness.probes.blocks import Blocks
from harness.probes.compiled import CompiledAgain, nothing_compiles
from harness.probes.graph import time_graph
from harness.probes.outcome import Outcome, Settings, join
from harness.probes.samples import take_samples
from harness.probes.subject import Subject

METRICS = ("latency_ms", "latency_hot_ms", "host_ms", "latency_graph_ms", "graph_capturable")


def measure(subject: Subject, device: Device, settings: Settings) -> Outcome:
    """Return the raw samples of one round."""
    subject.run()
    device.synchronize()
    try:
        with nullcontext() if subject.compiled is None else nothing_compiles():
            eager = _time_eager(subject, device, settings)
            return eager if eager.incorrect else join([eager, time_graph(subject, device, settings)])
    except CompiledAgain as error:
        return Outcome(incorrect=f"torch.compile compiled again in the timed region: {error}")
    finally:
        subject.drop_gradients()


def _time_eager(subject: Subject, device: Device, settings: Settings) -> Outcome:
    cold = take_samples(Blocks(subject.run, device, cold=device.kind == "cuda"), settings, "latency_ms")
    if cold.incorrect or "latency_hot_ms" not in device.timed_metrics:
        return cold
    return join([cold, take_samples(Blocks(subject.run, device, cold=False), settings, "latency_hot_ms", "hot_")])
