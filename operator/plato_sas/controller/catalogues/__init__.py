"""Reconciliation of catalogues: observe, decide, act, write the status."""
