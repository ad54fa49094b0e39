"""Installs the operator with its Helm chart, the modules and the pipelines on the test platform."""

from e2e.install.modules import pipelines, science_modules
from e2e.install.release import install, uninstall

__all__ = ["install", "pipelines", "science_modules", "uninstall"]
