"""One question a file: `figures(review)` draws, `caption(review)` says what is seen, both from the same numbers."""
