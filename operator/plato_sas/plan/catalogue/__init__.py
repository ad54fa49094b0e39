"""One catalogue: its Job and its tables."""
