"""What is wanted, without torch: suites, their cases and what these cost."""
