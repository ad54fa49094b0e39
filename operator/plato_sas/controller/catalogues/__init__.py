"""Reconciles StarCatalogues."""
