"""The pytest plug-in: a suite's cases as test items, and the fixture `subject` for a layer of one's own."""
