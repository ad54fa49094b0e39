"""Builds the project's container images and keeps them as archives: ``python -m e2e.images --help``."""
