"""Check a star's spec against its pipeline, beyond the CRD's schema."""

from plato_sas.api import StarProcessingSpec, ValueInvalid
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.graph.nearest import shown, suggestion
from plato_sas.plan.graph.size import MAX_PARAMETERS, MAX_PATHS, json_size, longest_path
from plato_sas.plan.graph.values import parse_value


def problems(spec: StarProcessingSpec, graph: Graph) -> list[str]:
    """All problems of the spec, each naming its field; empty if the star can run."""
    found: list[str] = []
    steps = {step.name: step for step in graph.steps}
    for step_name, values in spec.parameters.items():
        where = f"spec.parameters.{step_name}"
        if step_name not in steps:
            found.append(f"{where}: pipeline {graph.name!r} has no step {step_name!r}{suggestion(step_name, steps)}")
            continue
        found += _size_problems(where, json_size(values), MAX_PARAMETERS)
        declared = steps[step_name].declared_parameters
        for name, value in values.items():
            if name not in declared:
                known = ", ".join(sorted(declared)) or "none"
                near = suggestion(name, declared)
                found.append(f"{where}.{shown(name)}: no such parameter{near} (module's parameters: {known})")
                continue
            try:
                parse_value(declared[name], value)
            except ValueInvalid as error:
                found.append(f"{where}.{name}: {error}")
    if spec.previous_campaign is None:
        found += [
            f"spec.previousCampaign: step {step.name!r} needs input {one.name} of step {one.previous!r} in it"
            for step in graph.steps
            for one in step.inputs
            if one.previous is not None and not one.optional
        ]
    if spec.rerun is not None:
        unknown = [name for name in spec.rerun.from_steps or [] if name not in steps]
        found += [f"spec.rerun.from: pipeline {graph.name!r} has no step {name!r}" for name in unknown]
    paths = [longest_path(one.path) for one in spec.inputs.values() if one.path is not None]
    found += _size_problems("spec.inputs", json_size(paths), MAX_PATHS)
    for name in spec.inputs:
        if name not in graph.externals:
            known = ", ".join(sorted(graph.externals)) or "none"
            found.append(f"spec.inputs.{name}: not an external input of the pipeline (externals: {known})")
    return found


def _size_problems(where: str, size: int, most: int) -> list[str]:
    return [f"{where}: {size} bytes as JSON, of at most {most}"] if size > most else []
