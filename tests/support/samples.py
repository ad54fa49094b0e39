"""Small catalogues, pipelines and stars for tests: everything not named is sound and unremarkable."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plato_sas.api import ScienceModuleSpec, StarPipelineSpec, StarProcessing, StarProcessingStatus
from plato_sas.plan.graph.graph import Graph, build_graph

NOW = "2030-01-01T00:00:00Z"
UID = "6f1c0a52-0000-4000-8000-000000000001"
REVISION = "sas-test-0123456789"
# The name of the external product of every sample pipeline.
LIGHT_CURVE = "DP1_LC_MERGED"


def output_of(step: str) -> str:
    """The one output of a sample step's module."""
    return "OUT_" + step.upper().replace("-", "_")


def module(**fields: Any) -> ScienceModuleSpec:
    """A module with one output `OUT` unless said otherwise."""
    document: dict[str, Any] = {"image": "registry/module:1", "version": "1.0.0", "outputs": [{"name": "OUT"}]}
    return ScienceModuleSpec.model_validate(document | fields)


def pipeline(steps: Sequence[Mapping[str, Any]], **fields: Any) -> StarPipelineSpec:
    """A pipeline whose external product is the light curve."""
    externals = [{"name": LIGHT_CURVE, "path": "{campaign}/{star}/lc.h5"}]
    return StarPipelineSpec.model_validate({"externals": externals, "steps": list(steps)} | fields)


def dag(
    edges: Mapping[str, Iterable[str]],
    *,
    optional: Iterable[tuple[str, str]] = (),
    when: Mapping[str, str] | None = None,
    facts: Mapping[str, Mapping[str, str]] | None = None,
    module_fields: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[StarPipelineSpec, dict[str, ScienceModuleSpec]]:
    """A pipeline with a module per step. `edges` gives each step's upstream steps; a step with none reads the light
    curve. `optional` lists the (step, upstream) pairs that the step can do without.
    """
    loose = set(optional)
    modules: dict[str, ScienceModuleSpec] = {}
    steps: list[dict[str, Any]] = []
    for name, upstream in edges.items():
        upstream = list(upstream)
        declared = [{"name": output_of(one), "optional": (name, one) in loose} for one in upstream]
        inputs: list[dict[str, Any]] = [{"name": output_of(one), "step": one} for one in upstream]
        if not upstream:
            declared, inputs = [{"name": LIGHT_CURVE}], [{"name": LIGHT_CURVE, "external": LIGHT_CURVE}]
        fields: dict[str, Any] = {
            "inputs": declared,
            "outputs": [{"name": output_of(name)}],
            "facts": [{"name": fact, "type": kind} for fact, kind in (facts or {}).get(name, {}).items()],
        }
        modules[name] = module(**(fields | dict((module_fields or {}).get(name, {}))))
        step: dict[str, Any] = {"name": name, "module": name, "inputs": inputs}
        if name in (when or {}):
            step["when"] = (when or {})[name]
        steps.append(step)
    return pipeline(steps), modules


def graph(edges: Mapping[str, Iterable[str]], **options: Any) -> Graph:
    return build_graph("sas-test", *dag(edges, **options))


def processing(status: StarProcessingStatus | None = None, *, name: str = "star-1", **spec: Any) -> StarProcessing:
    """A star; `spec` fields are camelCase as in YAML."""
    return StarProcessing.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "plato",
                "uid": UID,
                "generation": 1,
                "creationTimestamp": NOW,
            },
            "spec": {"star": "KIC6603624", "campaign": "q1", "pipeline": "sas-test"} | spec,
            "status": (status or StarProcessingStatus()).to_dict(),
        }
    )
