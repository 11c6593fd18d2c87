"""What every HTML page of this package is made with: its style, its scripts, its charts' data, its words."""
