"""moe-harness: a benchmarking and profiling harness for dense, sparse and Soft Mixture-of-Experts layers."""

__version__ = "0.1.0"
