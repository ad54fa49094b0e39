"""Reconciliation of stars: observe, decide, act, write the status."""
