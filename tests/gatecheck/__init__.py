"""Does the gate keep still on equals, and does it see what was planted? On this machine, with real runs."""
