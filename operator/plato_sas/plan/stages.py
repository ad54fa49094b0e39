"""A step that may start, as a stage ready to be built into a Job."""

import hashlib
import math

from plato_sas.api import StarProcessing, StepStatus, amount, seconds
from plato_sas.jobs.names import job_name
from plato_sas.jobs.outcome import FailureClass
from plato_sas.jobs.stage import Owner, StageRun, StepRun
from plato_sas.plan.graph import BoundInput, Graph, GraphStep
from plato_sas.stager.description import (
    FactDescription,
    InputDescription,
    OutputDescription,
    Stage,
    StepDescription,
)

_MEBI = 2**20


def stage_for(
    processing: StarProcessing, graph: Graph, step: GraphStep, number: int, statuses: dict[str, StepStatus]
) -> StageRun:
    """The stage that runs one step as attempt `number`; every step upstream is final."""
    metadata = processing.metadata
    owner = Owner(metadata.name, metadata.namespace or "", metadata.uid or "", metadata.labels)
    description = Stage(
        id=job_name(owner.name, owner.uid, step.name, number),
        star=processing.spec.star,
        campaign=processing.spec.campaign,
        steps=[_describe(processing, graph, step, number, statuses)],
    )
    run = StepRun(
        name=step.name,
        image=step.module.image,
        command=tuple(step.module.command) if step.module.command is not None else None,
        args=tuple(step.module.args) if step.module.args is not None else None,
        resources=step.module.resources,
        memory=memory(step, statuses[step.name]),
        timeout_seconds=seconds(step.module.timeout),
    )
    return StageRun(owner, description, (run,), number)


def memory(step: GraphStep, status: StepStatus) -> str:
    """The next attempt's memory: doubled for each attempt that ran out of it, up to the module's cap."""
    resources = step.module.resources
    grown = (status.retries or {}).get(FailureClass.OUT_OF_MEMORY, 0)
    if not grown:
        return resources.memory
    cap = amount(resources.memory_cap or resources.memory)
    return f"{math.ceil(min(cap, amount(resources.memory) * 2**grown) / _MEBI)}Mi"


def can_grow(step: GraphStep, status: StepStatus) -> bool:
    """Whether an attempt that ran out of memory was still below the module's cap."""
    cap = step.module.resources.memory_cap
    return cap is not None and amount(memory(step, status)) < amount(cap)


def seed(star: str, step: str) -> int:
    """The same star and step draw the same random numbers, on every attempt and in every campaign."""
    return int.from_bytes(hashlib.sha256(f"{star}/{step}".encode()).digest()[:4], "big")


def present(one: BoundInput, statuses: dict[str, StepStatus]) -> bool:
    """Whether an input exists, its producer being final. External products are stage-in's to verify."""
    if one.step is None:
        return True
    status = statuses[one.step]
    return status.state.published and one.output not in (status.missing or [])


def _describe(
    processing: StarProcessing, graph: Graph, step: GraphStep, number: int, statuses: dict[str, StepStatus]
) -> StepDescription:
    spec = processing.spec
    module = step.module
    return StepDescription(
        name=step.name,
        module=step.module_name,
        version=module.version,
        image=module.image,
        command=module.command,
        args=module.args,
        attempt=number,
        seed=seed(spec.star, step.name),
        parameters=step.parameters(spec.parameters.get(step.name, {})),
        inputs=[_input(processing, graph, one) for one in step.inputs if present(one, statuses)],
        outputs=[OutputDescription(one.name, one.file_name, one.optional) for one in module.outputs],
        facts=[FactDescription(one.name, one.type.value) for one in module.facts],
    )


def _input(processing: StarProcessing, graph: Graph, one: BoundInput) -> InputDescription:
    spec = processing.spec
    if one.external is not None:
        override = spec.inputs.get(one.external)
        template = override.path if override and override.path else graph.externals[one.external].path
        path = template.replace("{star}", spec.star).replace("{campaign}", spec.campaign)
        return InputDescription(one.name, "inputs", path, sha256=override.sha256 if override else None)
    assert one.step is not None
    assert one.output is not None
    outputs = {output.name: output for output in graph.step(one.step).module.outputs}
    folder = f"{spec.campaign}/{spec.star}/{one.step}"
    path = f"{folder}/{outputs[one.output].file_name}"
    return InputDescription(one.name, "products", path, producer=folder, output=one.output)
