"""Simulates one PLATO star with PSLS and writes its inputs and the truth about it."""
