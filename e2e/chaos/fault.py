"""What a fault is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from e2e.chaos.drill import Drill


@dataclass(frozen=True)
class Fault:
    """One drill. `rows`: the rows of the table that it fills, each with what is done."""

    name: str
    rows: Mapping[str, str]
    inject: Callable[[Drill], None]
    """Creates the stars and does the harm; the caller waits for the stars to end, and judges."""
    limit_seconds: float
    components: bool = False
    """Whether it needs the local cluster, whose components are processes of this machine."""
    short: bool = True
    """Whether it is part of the short form."""
