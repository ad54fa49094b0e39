"""How a benchmark drives the platform and what it measures."""
