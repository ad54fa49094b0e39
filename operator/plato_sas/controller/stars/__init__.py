"""Reconciles StarProcessings."""
