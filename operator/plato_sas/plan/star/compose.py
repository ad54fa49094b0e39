"""Which steps share a Job: as many as can be decided now, in topological order.

A step joins a stage if everything it reads is published or produced in the same stage, and every fact its `when` reads
is known. The next stage starts where a fact is needed. A step whose resources differ much from the others' gets its own
stage, since a pod reserves its containers' largest request for its whole life.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from plato_sas.api import StepState, amount
from plato_sas.plan.graph.graph import Graph, GraphStep
from plato_sas.plan.retries import memory, pause_left
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.star.skips import reason_to_skip

# Below the floor differences do not matter; above it, those beyond the ratio do.
_CPU_FLOOR = 0.5
_MEMORY_FLOOR = float(2**30)
_FAR = 4.0


@dataclass(frozen=True)
class Composition:
    """The stages that may start now, and the seconds left until steps may be retried."""

    stages: Sequence[Sequence[GraphStep]]
    pauses: Sequence[float]


def compose(ledger: Ledger, graph: Graph, limit: int, now: str) -> Composition:
    """Distribute the steps that can be decided now over stages of at most `limit` steps."""
    pauses: list[float] = []
    free: list[GraphStep] = []
    for step in graph.steps:
        status = ledger.steps[step.name]
        if status.state is not StepState.PENDING or step.name in ledger.in_flight:
            continue
        pause = pause_left(status, now)
        if pause > 0:
            pauses.append(pause)
        else:
            free.append(step)
    stages = []
    while free:
        stage = _Stage(ledger, graph, limit)
        for step in free:
            stage.offer(step)
        if not stage.steps:
            break
        stages.append(stage.steps)
        free = [step for step in free if step.name not in stage.names]
    return Composition(stages, pauses)


@dataclass
class _Stage:
    ledger: Ledger
    graph: Graph
    limit: int
    steps: list[GraphStep] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    sizes: list[tuple[float, float]] = field(default_factory=list)

    def offer(self, step: GraphStep) -> None:
        """Add the step if it can run after those already in the stage."""
        size = self._size(step)
        if len(self.steps) < self.limit and self._decided(step) and self._alike(size):
            self.steps.append(step)
            self.names.add(step.name)
            self.sizes.append(size)

    def _decided(self, step: GraphStep) -> bool:
        # A step that has already failed or been refused waits for its upstream steps, which may cause it to be skipped.
        again = self.ledger.steps[step.name].reason is not None
        facts = step.upstream if again else step.when.steps if step.when else frozenset()
        known = all(
            self.ledger.steps[name].state.final or (name in self.names and name not in facts) for name in step.upstream
        )
        # A step with a reason to skip is skipped once everything upstream is final.
        return (
            known
            and reason_to_skip(step, self.ledger) is None
            and all(self._certain(one.step, one.output) for one in step.inputs if one.step in self.names)
        )

    def _certain(self, producer: str | None, output: str | None) -> bool:
        """Whether the output exists whenever its producer completes: a mount cannot be dropped later."""
        assert producer is not None
        return any(one.name == output and not one.optional for one in self.graph.step(producer).module.outputs)

    def _size(self, step: GraphStep) -> tuple[float, float]:
        cpu = amount(step.module.resources.cpu)
        return max(_CPU_FLOOR, cpu), max(_MEMORY_FLOOR, amount(memory(step, self.ledger.steps[step.name])))

    def _alike(self, size: tuple[float, float]) -> bool:
        return all(
            max(mine, other) <= _FAR * min(mine, other)
            for one in self.sizes
            for mine, other in zip(size, one, strict=True)
        )
