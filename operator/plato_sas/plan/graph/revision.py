"""A pinned graph: the pipeline and its modules as they were when a star was accepted."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from plato_sas.api import Document, ScienceModuleSpec, StarPipelineSpec
from plato_sas.plan.graph.graph import Graph, GraphInvalid, build_graph
from plato_sas.plan.graph.size import MAX_REVISION


def revision_content(pipeline: StarPipelineSpec, modules: Mapping[str, ScienceModuleSpec]) -> Document:
    """What a ControllerRevision holds: the pipeline and the modules that it uses, nothing else."""
    used = {step.module for step in pipeline.steps}
    return {
        "pipeline": pipeline.to_dict(),
        "modules": {name: spec.to_dict() for name, spec in sorted(modules.items()) if name in used},
    }


def revision_name(pipeline: str, content: Mapping[str, Any]) -> str:
    """A name derived from the content: equal graphs share one revision, and creating it twice is harmless.

    Raises GraphInvalid if the content is too large to be stored.
    """
    text = json.dumps(content, sort_keys=True)
    if len(text) > MAX_REVISION:
        problem = f"with its modules it has {len(text)} bytes as JSON, of at most {MAX_REVISION}: shorten descriptions"
        raise GraphInvalid("PipelineTooLarge", [f"StarPipeline {pipeline}: {problem}"])
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{pipeline[:52].rstrip('-.')}-{digest}"


def load_revision(pipeline: str, content: Mapping[str, Any]) -> Graph:
    """The graph that a revision holds."""
    modules = {name: ScienceModuleSpec.model_validate(one) for name, one in content["modules"].items()}
    return build_graph(pipeline, StarPipelineSpec.model_validate(content["pipeline"]), modules)
