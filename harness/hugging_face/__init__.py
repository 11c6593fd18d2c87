"""Counts of any model that transformers can build, from its config.json; the details are that library's work."""
