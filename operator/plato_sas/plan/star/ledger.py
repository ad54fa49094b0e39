"""The steps' states while what was observed is brought into them."""

from dataclasses import dataclass, field

from plato_sas.api import Facts, StepStatus
from plato_sas.jobs.attempt import Attempt


@dataclass
class Ledger:
    """Mutable, for the length of one decision."""

    steps: dict[str, StepStatus]
    facts: dict[str, Facts]
    inputs: dict[str, str]
    in_flight: set[str] = field(default_factory=set)  # steps of an active Job
    recorded: list[Attempt] = field(default_factory=list)  # finished, and in the status already: may go
    stray: list[Attempt] = field(default_factory=list)  # active, though nobody waits for them

    def update(self, name: str, **fields: object) -> None:
        """Change fields of a step."""
        self.steps[name] = self.steps[name].model_copy(update=fields)
