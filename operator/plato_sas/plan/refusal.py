"""Jobs that the API server refused."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """A Job that was not created. `permanent`: the same Job would be refused again in any case.

    `step` is the first of its steps.
    """

    step: str
    message: str
    permanent: bool
