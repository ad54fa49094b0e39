"""A pipeline and its modules as one checked graph."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from plato_sas.api import (
    ExternalInput,
    ModuleInput,
    ParameterDeclaration,
    PipelineStep,
    ScienceModuleSpec,
    StageMode,
    StarPipelineSpec,
    StepInput,
    Value,
    ValueInvalid,
    seconds,
)
from plato_sas.plan.graph.nearest import shown, suggestion
from plato_sas.plan.graph.size import MAX_STEP, step_size
from plato_sas.plan.graph.values import resolve
from plato_sas.plan.graph.when import Condition, ConditionInvalid, compile_condition

_LONGEST_TIMEOUT = "30d"


class GraphInvalid(ValueError):
    """The pipeline cannot run. `reason` is CamelCase; each problem names its field."""

    def __init__(self, reason: str, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.reason = reason
        self.problems = problems

    @property
    def not_found(self) -> bool:
        """Whether it may become valid once the missing object exists."""
        return self.reason in ("PipelineNotFound", "ModuleNotFound")


@dataclass(frozen=True)
class BoundInput:
    """A module's input and its source: an external product, a step's output, or the previous campaign's."""

    name: str
    optional: bool
    external: str | None = None
    step: str | None = None
    previous: str | None = None
    output: str | None = None

    @property
    def late(self) -> bool:
        """Whether only the pod can tell if it exists."""
        return self.previous is not None or (self.external is not None and self.optional)


@dataclass(frozen=True)
class GraphStep:
    """One step with its module."""

    name: str
    module_name: str
    module: ScienceModuleSpec
    inputs: tuple[BoundInput, ...]
    when: Condition | None
    written_parameters: Mapping[str, int | str]

    @cached_property
    def upstream(self) -> frozenset[str]:
        """The steps it waits for: producers of its inputs, and steps whose facts its `when` reads."""
        producers = frozenset(one.step for one in self.inputs if one.step is not None)
        return producers | (self.when.steps if self.when else frozenset())

    @cached_property
    def declared_parameters(self) -> dict[str, ParameterDeclaration]:
        return {one.name: one for one in self.module.parameters}

    def parameters(self, overrides: Mapping[str, int | str]) -> dict[str, Value]:
        """The module's parameters: its defaults, overridden by the pipeline's, then the star's. Raises ValueInvalid."""
        return resolve(self.declared_parameters, self.written_parameters, overrides)


@dataclass(frozen=True)
class Graph:
    """A valid graph; `steps` are in topological order, ties in the order of the pipeline."""

    name: str
    externals: Mapping[str, ExternalInput]
    steps: tuple[GraphStep, ...]
    stages: StageMode = StageMode.FUSED

    @cached_property
    def _by_name(self) -> dict[str, GraphStep]:
        return {step.name: step for step in self.steps}

    def step(self, name: str) -> GraphStep:
        return self._by_name[name]

    def downstream(self, names: Iterable[str]) -> frozenset[str]:
        """These steps and all that depend on them, directly or not."""
        reached = set(names)
        for step in self.steps:  # topological order: one pass is enough
            if step.upstream & reached:
                reached.add(step.name)
        return frozenset(reached)


def build_graph(name: str, pipeline: StarPipelineSpec, modules: Mapping[str, ScienceModuleSpec]) -> Graph:
    """Bind a pipeline to its modules and check everything that does not depend on a star.

    Raises GraphInvalid with all problems of the first failing check: missing modules; modules and wiring;
    conditions; sizes; cycles.
    """
    where = f"StarPipeline {name}: spec.steps"
    missing = [
        f"{where}[{step.name}].module: there is no ScienceModule {step.module!r}"
        for step in pipeline.steps
        if step.module not in modules
    ]
    if missing:
        raise GraphInvalid("ModuleNotFound", missing)
    problems: list[str] = []
    for module in dict.fromkeys(step.module for step in pipeline.steps):
        problems += _module_problems(module, modules[module])
    by_name = {step.name: step for step in pipeline.steps}
    externals = {one.name: one for one in pipeline.externals}
    bound: dict[str, tuple[BoundInput, ...]] = {}
    for step in pipeline.steps:
        binder = _Binder(f"{where}[{step.name}]", externals, by_name, modules)
        bound[step.name] = binder.bind(step, problems)
        problems += _parameter_problems(f"{where}[{step.name}]", step, modules[step.module])
    if problems:
        raise GraphInvalid("PipelineInvalid", problems)
    steps = _with_conditions(where, pipeline, modules, bound)
    _check_sizes(where, steps, externals)
    return Graph(name, externals, _sorted(where, steps), pipeline.stages)


@dataclass(frozen=True)
class _Binder:
    where: str
    externals: Mapping[str, ExternalInput]
    steps: Mapping[str, PipelineStep]
    modules: Mapping[str, ScienceModuleSpec]

    def bind(self, step: PipelineStep, problems: list[str]) -> tuple[BoundInput, ...]:
        declared = {one.name: one for one in self.modules[step.module].inputs}
        given = {one.name: one for one in step.inputs}
        for name in sorted(given.keys() - declared.keys()):
            problems.append(f"{self.where}.inputs[{name}]: module {step.module!r} has no such input")
        found = []
        for name, module_input in declared.items():
            if name in given:
                found.append(self._bind_one(given[name], module_input, problems))
            elif not module_input.optional:
                problems.append(f"{self.where}.inputs: module {step.module!r} needs input {name}")
        return tuple(found)

    def _bind_one(self, given: StepInput, declared: ModuleInput, problems: list[str]) -> BoundInput:
        here = f"{self.where}.inputs[{given.name}]"
        optional = declared.optional if given.optional is None else given.optional
        if optional and not declared.optional:
            problems.append(f"{here}.optional: the module cannot do without this input")
        if given.external is not None:
            if given.external not in self.externals:
                problems.append(f"{here}.external: {given.external!r} is not in spec.externals")
            return BoundInput(given.name, optional, external=given.external)
        output = given.output or given.name
        field, name = ("step", given.step) if given.step is not None else ("previous", given.previous)
        producer = self.steps.get(name or "")
        if producer is None:
            problems.append(f"{here}.{field}: there is no step {name!r}")
        elif output not in {one.name for one in self.modules[producer.module].outputs}:
            problems.append(f"{here}.output: step {name!r} has no output {output!r}")
        return BoundInput(given.name, optional, step=given.step, previous=given.previous, output=output)


def _module_problems(name: str, module: ScienceModuleSpec) -> list[str]:
    problems = []
    writer: dict[str, str] = {}
    for output in module.outputs:
        other = writer.setdefault(output.file_name, output.name)
        if other != output.name:
            where = f"ScienceModule {name}: spec.outputs[{output.name}].path"
            problems.append(f"{where}: {output.file_name} is the file of output {other} already")
    if seconds(module.timeout) > seconds(_LONGEST_TIMEOUT):
        problems.append(f"ScienceModule {name}: spec.timeout: {module.timeout} is longer than {_LONGEST_TIMEOUT}")
    return problems


def _parameter_problems(where: str, step: PipelineStep, module: ScienceModuleSpec) -> list[str]:
    declared = {one.name: one for one in module.parameters}
    problems = [
        f"{where}.parameters.{shown(name)}: module {step.module!r} has no such parameter{suggestion(name, declared)}"
        for name in step.parameters
        if name not in declared
    ]
    for name, declaration in declared.items():
        try:
            resolve({name: declaration}, {k: v for k, v in step.parameters.items() if k == name})
        except ValueInvalid as error:
            problems.append(f"{where}.parameters.{name}: {error}")
    return problems


def _with_conditions(
    where: str,
    pipeline: StarPipelineSpec,
    modules: Mapping[str, ScienceModuleSpec],
    bound: Mapping[str, tuple[BoundInput, ...]],
) -> list[GraphStep]:
    facts = {step.name: {fact.name: fact.type for fact in modules[step.module].facts} for step in pipeline.steps}
    problems: list[str] = []
    steps = []
    for step in pipeline.steps:
        condition = None
        if step.when is not None:
            others = {name: declared for name, declared in facts.items() if name != step.name}
            try:
                condition = compile_condition(step.when, others)
            except ConditionInvalid as error:
                problems.append(f"{where}[{step.name}].when: {error}")
        steps.append(
            GraphStep(step.name, step.module, modules[step.module], bound[step.name], condition, step.parameters)
        )
    if problems:
        raise GraphInvalid("ConditionInvalid", problems)
    return steps


def _check_sizes(where: str, steps: Iterable[GraphStep], externals: Mapping[str, ExternalInput]) -> None:
    problems = []
    for step in steps:
        paths = {one.name: externals[one.external].path if one.external else None for one in step.inputs}
        size = step_size(step.name, step.module_name, step.module, paths, step.parameters({}))
        if size > MAX_STEP:
            cause = f"the order for its pod may have {size} bytes, of at most {MAX_STEP}"
            remedy = f"shorten args and parameters of module {step.module_name!r}"
            problems.append(f"{where}[{step.name}]: {cause}: {remedy}")
    if problems:
        raise GraphInvalid("PipelineTooLarge", problems)


def _sorted(where: str, steps: list[GraphStep]) -> tuple[GraphStep, ...]:
    position = {step.name: index for index, step in enumerate(steps)}
    sorter = TopologicalSorter({step.name: sorted(step.upstream) for step in steps})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise GraphInvalid("GraphHasCycle", [f"{where}: the steps form a cycle: {cycle}"]) from None
    ordered: list[GraphStep] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        ordered += (steps[position[name]] for name in ready)
        sorter.done(*ready)
    return tuple(ordered)
