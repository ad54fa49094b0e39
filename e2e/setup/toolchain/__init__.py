"""The Go programs of the test platform, built into `.local/bin`."""

from e2e.setup.toolchain.build import ToolchainError, ensure, module_folder

__all__ = ["ToolchainError", "ensure", "module_folder"]
