"""The product volume of a simulated star: what stage-in finds there, what publish leaves, and what must never happen.

Keys are the stager's own; contents are not simulated, a product's digest follows from its key.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from plato_sas.stager.description import PublishOrder, Stage, StepDescription
from plato_sas.stager.manifest import step_key
from plato_sas.stager.messages import Problem, Published, PublishedStep, StagedIn, Withheld

EXTERNAL = "1" * 64  # the SHA-256 of every external product of the first delivery


@dataclass(frozen=True)
class Output:
    """What a module has left in its attempt's folder. `sound`: every required output is there."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    sound: bool = True


@dataclass(frozen=True)
class Product:
    """A published step."""

    key: str
    attempt: str
    rerun: int
    output: Output

    @property
    def report(self) -> PublishedStep:
        digest = hashlib.sha256(self.key.encode()).hexdigest()
        return PublishedStep(digest, dict(self.output.facts), list(self.output.missing))


class Publication(NamedTuple):
    """A step made visible. `rerun`: the one it belongs to; `forced`: the one that wanted it though nothing changed."""

    step: str
    key: str
    rerun: int
    forced: int | None


@dataclass
class Volume:
    """One star's part of it.

    `delivered`: the SHA-256 of every external product. `absent`: steps whose external input is missing. `room`: steps
    that a report holds.
    """

    delivered: str = EXTERNAL
    absent: frozenset[str] = frozenset()
    room: int = 64
    products: dict[str, Product] = field(default_factory=dict)
    previous: dict[str, Product] = field(default_factory=dict)  # of the campaign before, by step
    library: dict[str, Product] = field(default_factory=dict)  # of other campaigns, by key
    stages: dict[str, Stage] = field(default_factory=dict)
    folders: dict[str, dict[str, Output | None]] = field(default_factory=dict)  # by attempt and step
    published: list["Publication"] = field(default_factory=list)

    def stage_in(self, stage: Stage) -> StagedIn | Problem:
        for folders in self.folders.values():
            for step in stage.steps:
                folders.pop(step.name, None)
        staged = self.check(stage)
        if isinstance(staged, StagedIn) and not staged.reused:
            self.stages[stage.id] = stage
            self.folders[stage.id] = dict.fromkeys(step.name for step in stage.steps)
        return staged

    def check(self, stage: Stage) -> StagedIn | Problem:
        known = {step.name: self._input_digests(step) for step in stage.steps}
        for step in stage.steps:
            if step.name in self.absent:
                return Problem(step.name, "InputMissing", f"step {step.name}: input: inputs volume: it does not exist")
        inputs = {one.name: self.delivered for step in stage.steps for one in step.inputs if one.volume == "inputs"}
        return StagedIn(inputs, self._reused(stage, known))

    def _input_digests(self, step: StepDescription) -> dict[str, str]:
        digests = {}
        for one in step.inputs:
            if one.volume == "inputs":
                digests[one.name] = self.delivered
            elif one.late:
                assert one.producer is not None
                earlier = self.previous.get(one.producer.rpartition("/")[2])
                assert earlier is not None or one.optional
                digests |= {one.name: earlier.report.digest} if earlier is not None else {}
            elif one.producer is not None:
                producer = one.producer.rpartition("/")[2]
                assert producer in self.products, f"{step.name} was started before {producer} was published"
                assert one.output not in self.products[producer].output.missing
                digests[one.name] = self.products[producer].report.digest
        return digests

    def _reused(self, stage: Stage, known: Mapping[str, Mapping[str, str]]) -> dict[str, PublishedStep]:
        found: dict[str, PublishedStep] = {}
        for step in stage.steps:
            made_by = {one.name: one.made_by for one in step.inputs if one.made_by is not None}
            if len(found) >= self.room or not found.keys() >= set(made_by.values()):
                continue
            digests = {**known[step.name], **{name: found[maker].digest for name, maker in made_by.items()}}
            key = step_key(step, digests)
            mine = self.products.get(step.name)
            if mine is not None and mine.key == key and step.forced in (None, mine.rerun):
                found[step.name] = mine.report
            elif key in self.library and step.forced is None:
                self.products[step.name] = replace(self.library[key], attempt=stage.id, rerun=stage.rerun)
                found[step.name] = self.products[step.name].report
        return found

    def readable(self, attempt: str, step: str) -> bool:
        """Whether everything that a step of an attempt reads from another one of it is there."""
        described = next(one for one in self.stages[attempt].steps if one.name == step)
        makers = {one.made_by for one in described.inputs if one.made_by is not None}
        outputs = [self.folders[attempt].get(maker) for maker in makers]
        return all(output is not None and output.sound for output in outputs)

    def leave(self, attempt: str, step: str, output: Output) -> None:
        """A module ends well."""
        self.folders[attempt][step] = output

    def publish(self, order: PublishOrder, alive: Callable[[], bool]) -> Published | None:
        """The report; None if publish was killed, which `alive` is asked before each step."""
        report = Published({}, {})
        stage = self.stages.get(order.attempt)
        described = {step.name: step for step in stage.steps} if stage is not None else {}
        for name in [one for one in described if one in order.steps] or order.steps:
            if not alive():
                return None
            if len(report.steps) + len(report.failed) >= self.room:
                break
            output = self.folders.get(order.attempt, {}).get(name)
            if name in self.products and self.products[name].attempt == order.attempt:
                report.steps[name] = self.products[name].report
            elif output is None:
                report.failed[name] = Withheld("OutputLost", f"step {name}: its outputs are gone")
            elif any(not self._made(order, one.made_by) for one in described[name].inputs if one.made_by):
                continue
            elif not output.sound:
                report.failed[name] = Withheld("OutputMissing", f"step {name}: output OUT does not exist")
            else:
                report.steps[name] = self._place(order.attempt, described[name], output)
        return report if alive() else None

    def _made(self, order: PublishOrder, maker: str) -> bool:
        return maker in self.products and self.products[maker].attempt == order.attempt

    def _place(self, attempt: str, step: StepDescription, output: Output) -> PublishedStep:
        digests = self._input_digests(step)
        digests |= {one.name: self.products[one.made_by].report.digest for one in step.inputs if one.made_by}
        rerun = self.stages[attempt].rerun
        product = Product(step_key(step, digests), attempt, rerun, output)
        known = {(one.step, one.key, one.rerun) for one in self.published}
        assert (step.name, product.key, rerun) not in known, f"{step.name} was published twice"
        self.published.append(Publication(step.name, product.key, rerun, step.forced))
        self.products[step.name] = product
        del self.folders[attempt][step.name]
        return product.report
