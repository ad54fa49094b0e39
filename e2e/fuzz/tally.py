"""What came of the cases: how each ended, and which should not have ended so."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from plato_sas.text import printable


@dataclass(frozen=True)
class Finding:
    """A case that went wrong; `python -m e2e.fuzz --only KIND:CASE --seed SEED` runs it again."""

    kind: str
    seed: int
    case: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.case} (seed {self.seed}): {self.what}"


def sentence(refusal: Exception | str, outcome: str) -> str:
    """The outcome of a case that was refused with a sentence that can be written and read."""
    text = printable(str(refusal))
    assert text.encode().strip()
    assert "Traceback" not in text
    return outcome


@dataclass
class Tally:
    """Of one run."""

    seed: int
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def luck(self, kind: str, case: int) -> Random:
        """The case's own source of chance, so that it can be run again alone."""
        return Random(f"{self.seed}/{kind}/{case}")  # noqa: S311

    def count(self, kind: str, outcome: str) -> None:
        self.outcomes.setdefault(kind, Counter())[outcome] += 1

    def wrong(self, kind: str, case: int, what: str) -> None:
        self.count(kind, "WRONG")
        self.findings.append(Finding(kind, self.seed, case, what[:2000]))

    def lines(self) -> list[str]:
        """For people: one line for each kind, then the findings."""
        told = [
            f"{kind:10} {counted.total():6}  "
            + ", ".join(f"{name} {number}" for name, number in sorted(counted.items()))
            for kind, counted in sorted(self.outcomes.items())
        ]
        return [*told, *map(str, self.findings)]
