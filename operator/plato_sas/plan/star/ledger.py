"""The steps' states during one decision."""

from dataclasses import dataclass, field

from plato_sas.api import Facts, StepStatus
from plato_sas.jobs.attempt import Attempt


@dataclass
class Ledger:
    """Mutable; lives for one decision."""

    steps: dict[str, StepStatus]
    facts: dict[str, Facts]
    inputs: dict[str, str]
    in_flight: set[str] = field(default_factory=set)  # steps of an active Job
    recorded: list[Attempt] = field(default_factory=list)  # finished and already in the status: may be deleted
    stray: list[Attempt] = field(default_factory=list)  # active but no longer needed

    def update(self, name: str, **fields: object) -> None:
        """Change fields of a step."""
        self.steps[name] = self.steps[name].model_copy(update=fields)
