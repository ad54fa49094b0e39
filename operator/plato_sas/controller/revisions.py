"""The pinned graph of each star: taken from the catalogue on acceptance, from its ControllerRevision afterwards."""

from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from plato_sas.api import GROUP, ScienceModuleSpec, StarPipelineSpec, StarProcessing
from plato_sas.controller.client import AlreadyExists, KubeClient, NotFound
from plato_sas.controller.resources import MODULE, PIPELINE, REVISION
from plato_sas.controller.view import View
from plato_sas.jobs.names import MANAGED_BY_LABEL, MANAGER
from plato_sas.plan.graph import Graph, GraphInvalid, build_graph
from plato_sas.plan.revision import load_revision, revision_content, revision_name

Document = dict[str, Any]


class Revisions:
    """Graphs by revision; equal graphs are shared by all stars."""

    def __init__(self, client: KubeClient, view: View) -> None:
        self._client = client
        self._view = view
        self._graphs: dict[str, Graph] = {}
        self._unpinned: dict[str, Document] = {}  # ControllerRevisions that no star has needed yet

    async def of(self, processing: StarProcessing) -> tuple[str, Graph]:
        """The revision that a star runs, or would run, with and its graph.

        Raises GraphInvalid, also where the star's revision was deleted and cannot be made again.
        """
        name = processing.status.revision
        if name is None:
            return self._current(processing.spec.pipeline)
        if name not in self._graphs:
            try:
                revision = await self._client.get(REVISION, name)
            except NotFound:
                return self._recovered(name, processing.spec.pipeline)
            self._graphs[name] = load_revision(processing.spec.pipeline, revision["data"])
        return name, self._graphs[name]

    async def pin(self, name: str) -> None:
        """Have the revision stored before a star's status names it. Raises ApiError."""
        body = self._unpinned.get(name)
        if body is not None:
            with suppress(AlreadyExists):
                await self._client.create(REVISION, body)
            self._unpinned.pop(name, None)

    def _recovered(self, name: str, pipeline: str) -> tuple[str, Graph]:
        """A deleted revision made again, which is possible as long as pipeline and modules have not changed."""
        with suppress(GraphInvalid, ValidationError):
            current, graph = self._current(pipeline)
            if current == name:
                return name, graph
        raise GraphInvalid("RevisionLost", [f"status.revision: ControllerRevision {name!r} was deleted"])

    async def refresh(self) -> None:
        """Look again at pipelines and modules: watches of different kinds are not ordered among each other."""
        for kind in (MODULE, PIPELINE):
            before = self._view.names(kind)
            self._view.replace(kind, await self._client.list(kind), before)

    def _current(self, pipeline: str) -> tuple[str, Graph]:
        """The graph as pipeline and catalogue are now."""
        stored = self._view.pipeline(pipeline)
        if stored is None:
            raise GraphInvalid("PipelineNotFound", [f"spec.pipeline: there is no StarPipeline {pipeline!r}"])
        spec = _read(StarPipelineSpec, stored, "StarPipeline")
        used = {step.module: self._view.module(step.module) for step in spec.steps}
        modules = {
            name: ScienceModuleSpec.model_validate(module["spec"])
            for name, module in used.items()
            if module is not None
        }
        content = revision_content(spec, modules)
        name = revision_name(pipeline, content)
        if name not in self._graphs:
            self._graphs[name] = build_graph(pipeline, spec, modules)
            self._unpinned[name] = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {"name": name, "labels": {MANAGED_BY_LABEL: MANAGER, f"{GROUP}/pipeline": pipeline}},
                "revision": 1,
                "data": content,
            }
        return name, self._graphs[name]


M = TypeVar("M", bound=BaseModel)


def _read(model: type[M], stored: Document, kind: str) -> M:
    """An object's spec. Raises GraphInvalid naming object and field, for one written under an older schema."""
    try:
        return model.model_validate(stored["spec"])
    except ValidationError as error:
        where = f"{kind} {stored['metadata']['name']}: spec"
        found = [f"{where}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise GraphInvalid("PipelineInvalid", found) from error
