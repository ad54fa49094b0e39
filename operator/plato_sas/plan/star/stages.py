"""Turn steps that may start into a stage, and what a failed stage left into a salvage; both ready to become a Job."""

import hashlib
from collections.abc import Mapping, Sequence

from plato_sas.api import ModuleOutput, StarProcessing, StepStatus, amount, seconds
from plato_sas.jobs.failure import FailureClass
from plato_sas.jobs.names import job_name, salvage_name
from plato_sas.jobs.stage import CheckRun, Owner, SalvageRun, StageRun, StepRun
from plato_sas.plan.graph.graph import BoundInput, Graph, GraphStep
from plato_sas.plan.graph.size import MAX_STAGE
from plato_sas.plan.retries import memory
from plato_sas.plan.star.deliveries import still_read
from plato_sas.stager.description import (
    FactDescription,
    InputDescription,
    OutputDescription,
    PublishOrder,
    Stage,
    StepDescription,
)

Statuses = Mapping[str, StepStatus]


def stage_for(
    processing: StarProcessing,
    graph: Graph,
    steps: Sequence[GraphStep],
    statuses: Statuses,
    read: Mapping[str, str],
    rerun: int,
) -> StageRun:
    """The stage that runs the steps as their next attempts; every step upstream is final or among them.

    Only the first of them if the stage would be too large to hand over: the others run in another one.

    `read`: SHA-256 of the external products read so far, by name.
    """
    owner = _owner(processing)
    first = steps[0]
    stage = Stage(
        id=job_name(owner.name, owner.uid, first.name, statuses[first.name].attempt + 1),
        star=processing.spec.star,
        campaign=processing.spec.campaign,
        processing=owner.uid,
        rerun=rerun,
        steps=[],
    )
    here = frozenset(step.name for step in steps)
    describe = _Describer(processing, graph, stage, here, statuses, still_read(graph, statuses, read))
    stage.steps.extend(describe.step(step) for step in steps)
    while len(stage.steps) > 1 and len(stage.to_json()) > MAX_STAGE:
        del stage.steps[-1]
    return StageRun(owner, stage, tuple(_run(step, statuses[step.name]) for step in steps[: len(stage.steps)]))


def check_for(
    processing: StarProcessing,
    graph: Graph,
    steps: Sequence[GraphStep],
    statuses: Statuses,
    read: Mapping[str, str],
    rerun: int,
) -> CheckRun:
    """The check of steps that were published before, as their next attempts."""
    run = stage_for(processing, graph, steps, statuses, read, rerun)
    return CheckRun(run.owner, run.description)


def checkable(processing: StarProcessing, steps: Sequence[GraphStep], statuses: Statuses) -> list[GraphStep]:
    """The steps of a stage that may turn out not to need a run: they were published before, and so was what they read.

    A step that a rerun names runs in any case.
    """
    named = (processing.spec.rerun.from_steps or []) if processing.spec.rerun is not None else []
    here = {step.name for step in steps}
    found: dict[str, GraphStep] = {}
    for step in steps:
        known = statuses[step.name].digest is not None and step.name not in named
        if known and all(name in found for name in step.upstream & here):
            found[step.name] = step
    return list(found.values())


def salvage_for(
    processing: StarProcessing, graph: Graph, job: str, steps: Sequence[str], statuses: Statuses
) -> SalvageRun:
    """The salvage that publishes the steps which completed before their Job failed."""
    owner = _owner(processing)
    # Higher than every step's count of failures, which distinguishes it from salvages that failed.
    number = 1 + max((statuses[name].retries or {}).get(FailureClass.INFRASTRUCTURE, 0) for name in steps)
    return SalvageRun(
        owner=owner,
        job=salvage_name(owner.name, owner.uid, job, steps[0], number),
        order=PublishOrder(processing.spec.campaign, processing.spec.star, job, list(steps)),
        numbers={name: statuses[name].attempt for name in steps},
        reads_inputs=any(one.external is not None for name in steps for one in graph.step(name).inputs),
    )


def _owner(processing: StarProcessing) -> Owner:
    metadata = processing.metadata
    return Owner(metadata.name, metadata.namespace or "", metadata.uid or "", metadata.labels)


def _run(step: GraphStep, status: StepStatus) -> StepRun:
    module = step.module
    return StepRun(
        name=step.name,
        image=module.image,
        command=tuple(module.command) if module.command is not None else None,
        args=tuple(module.args) if module.args is not None else None,
        resources=module.resources,
        memory=memory(step, status),
        timeout_seconds=seconds(module.timeout),
    )


def seed(star: str, step: str) -> int:
    """A seed for the module: the same for a star and step on every attempt and in every campaign."""
    return int.from_bytes(hashlib.sha256(f"{star}/{step}".encode()).digest()[:4], "big")


def present(one: BoundInput, statuses: Statuses) -> bool:
    """Whether an input exists, given that its producer is final. Stage-in verifies external inputs."""
    if one.step is None:
        return True
    status = statuses[one.step]
    return status.state.published and one.output not in (status.missing or [])


def _output(one: ModuleOutput) -> OutputDescription:
    limit = int(amount(one.max_size)) if one.max_size is not None else None
    return OutputDescription(one.name, one.file_name, one.optional, limit)


class _Describer:
    """Describes the steps of one stage."""

    def __init__(
        self,
        processing: StarProcessing,
        graph: Graph,
        stage: Stage,
        here: frozenset[str],
        statuses: Statuses,
        read: Mapping[str, str],
    ) -> None:
        self._spec = processing.spec
        self._graph = graph
        self._stage = stage
        self._here = here
        self._statuses = statuses
        self._read = read

    def step(self, step: GraphStep) -> StepDescription:
        module, spec = step.module, self._spec
        forced = spec.rerun is not None and step.name in (spec.rerun.from_steps or [])
        return StepDescription(
            name=step.name,
            module=step.module_name,
            version=module.version,
            image=module.image,
            command=module.command,
            args=module.args,
            attempt=self._statuses[step.name].attempt + 1,
            seed=seed(spec.star, step.name),
            parameters=step.parameters(spec.parameters.get(step.name, {})),
            inputs=[found for one in step.inputs if (found := self._input(one)) is not None],
            outputs=[_output(one) for one in module.outputs],
            facts=[FactDescription(one.name, one.type.value) for one in module.facts],
            forced=self._stage.rerun if forced else None,
        )

    def _input(self, one: BoundInput) -> InputDescription | None:
        """None for an input that is known to be absent."""
        spec = self._spec
        if one.external is not None:
            override = spec.inputs.get(one.external)
            template = override.path if override and override.path else self._graph.externals[one.external].path
            path = template.replace("{star}", spec.star).replace("{campaign}", spec.campaign)
            expected = override.sha256 if override else None
            return InputDescription(
                one.name, "inputs", path, sha256=expected, optional=one.optional, late=one.late,
                external=one.external if one.external != one.name else None, known=self._read.get(one.external),
                chosen=override is not None and override.path is not None,
            )  # fmt: skip
        producer = one.step or one.previous
        assert producer is not None
        assert one.output is not None
        outputs = {output.name: output for output in self._graph.step(producer).module.outputs}
        file = outputs[one.output].file_name
        if producer in self._here and one.previous is None:
            path = f"{self._stage.attempt_folder}/{producer}/{file}"
            return InputDescription(one.name, "products", path, output=one.output, made_by=producer)
        if one.previous is None and not present(one, self._statuses):
            return None
        campaign = spec.campaign if one.previous is None else spec.previous_campaign
        if campaign is None:
            return None
        folder = f"{campaign}/{spec.star}/{producer}"
        return InputDescription(
            one.name, "products", f"{folder}/{file}", producer=folder, output=one.output,
            optional=one.optional and one.late, late=one.late,
        )  # fmt: skip
