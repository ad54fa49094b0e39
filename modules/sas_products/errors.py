"""The failures a module reports in one line, and their exit codes."""


class ModuleFailure(Exception):
    """A failure that is final for this star and step: trying again gives the same answer."""

    exit_code = 1


class InputError(ModuleFailure):
    """An input file is missing, unreadable or holds values that its format forbids."""

    exit_code = 2


class ScienceError(ModuleFailure):
    """The inputs are valid, and the science cannot be done with them."""

    exit_code = 3


class ParameterError(ModuleFailure):
    """``params.json`` is unreadable, or a parameter is missing or of another type."""

    exit_code = 4
