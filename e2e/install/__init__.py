"""Installs the operator with its Helm chart, and the catalogue and the pipelines, on the test platform."""

from e2e.install.modules import catalogue, pipelines
from e2e.install.release import install, uninstall

__all__ = ["catalogue", "install", "pipelines", "uninstall"]
