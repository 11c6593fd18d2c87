"""Pure functions of numbers: intervals, ratios, verdicts. Nothing here knows a layer, a device or a file."""
