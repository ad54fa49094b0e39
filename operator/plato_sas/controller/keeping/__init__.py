"""Keeps logs and records on the products volume, and deletes resources once they are kept."""
