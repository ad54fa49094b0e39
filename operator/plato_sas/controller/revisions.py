"""The pinned graph of each star: taken from the catalogue on acceptance, from its ControllerRevision afterwards."""

from contextlib import suppress

from plato_sas.api import GROUP, ScienceModuleSpec, StarPipelineSpec, StarProcessing
from plato_sas.controller.client import AlreadyExists, KubeClient
from plato_sas.controller.resources import REVISION
from plato_sas.controller.view import View
from plato_sas.jobs.names import MANAGED_BY_LABEL, MANAGER
from plato_sas.plan.graph import Graph, GraphInvalid, build_graph
from plato_sas.plan.revision import load_revision, revision_content, revision_name


class Revisions:
    """Graphs by revision; equal graphs are shared by all stars."""

    def __init__(self, client: KubeClient, view: View) -> None:
        self._client = client
        self._view = view
        self._graphs: dict[str, Graph] = {}

    async def pinned(self, processing: StarProcessing) -> tuple[str, Graph]:
        """The revision that a star runs with and its graph. Raises GraphInvalid, or NotFound if it was deleted."""
        name = processing.status.revision
        if name is None:
            return await self._pin(processing.spec.pipeline)
        if name not in self._graphs:
            revision = await self._client.get(REVISION, name)
            self._graphs[name] = load_revision(processing.spec.pipeline, revision["data"])
        return name, self._graphs[name]

    async def _pin(self, pipeline: str) -> tuple[str, Graph]:
        stored = self._view.pipeline(pipeline)
        if stored is None:
            raise GraphInvalid("PipelineNotFound", [f"spec.pipeline: there is no StarPipeline {pipeline!r}"])
        spec = StarPipelineSpec.model_validate(stored["spec"])
        modules = {}
        for step in spec.steps:
            module = self._view.module(step.module)
            if module is not None:
                modules[step.module] = ScienceModuleSpec.model_validate(module["spec"])
        content = revision_content(spec, modules)
        name = revision_name(pipeline, content)
        if name not in self._graphs:
            graph = build_graph(pipeline, spec, modules)
            body = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "name": name,
                    "labels": {MANAGED_BY_LABEL: MANAGER, f"{GROUP}/pipeline": pipeline},
                },
                "revision": 1,
                "data": content,
            }
            with suppress(AlreadyExists):
                await self._client.create(REVISION, body)
            self._graphs[name] = graph
        return name, self._graphs[name]
