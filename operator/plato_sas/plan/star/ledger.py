"""The steps' states while what was observed is brought into them."""

from dataclasses import dataclass, field

from plato_sas.api import Facts, StepStatus, parse_time
from plato_sas.jobs.attempt import Attempt

MAX_MESSAGE = 1024


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


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one timestamp to another."""
    return (parse_time(later) - parse_time(earlier)).total_seconds()
