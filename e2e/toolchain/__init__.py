"""The Go programs of the test platform, built into `.local/bin`."""

from e2e.toolchain.build import ToolchainError, ensure

__all__ = ["ToolchainError", "ensure"]
