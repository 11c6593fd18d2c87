"""One section of the page a file: `build(context)` returns its data, its finding and its caption."""
