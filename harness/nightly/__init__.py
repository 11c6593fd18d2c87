"""Every night: the commands that measure, compare, report and gate, in one go, and what CI needs around them."""
