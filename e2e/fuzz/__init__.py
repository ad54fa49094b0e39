"""Hostile input, generated: what the system does with anything at all. `python -m e2e.fuzz --help`."""
