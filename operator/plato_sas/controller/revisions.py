"""The pinned graph of each star: built when the star is accepted, then read from its ControllerRevision."""

import logging
import time
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from plato_sas.api import GROUP, Document, ScienceModuleSpec, StarPipelineSpec, StarProcessing
from plato_sas.controller.kube.client import AlreadyExists, KubeClient, NotFound
from plato_sas.controller.kube.resources import MODULE, PIPELINE, REVISION
from plato_sas.controller.view.listing import relist
from plato_sas.controller.view.view import View
from plato_sas.jobs.names import MANAGED_BY_LABEL, MANAGER, SELECTOR
from plato_sas.plan.graph.graph import Graph, GraphInvalid, build_graph
from plato_sas.plan.graph.revision import load_revision, revision_content, revision_name
from plato_sas.plan.star import rerun
from plato_sas.plan.times import seconds_between

logger = logging.getLogger(__name__)

_KEPT_SECONDS = 3600.0  # how long an unused revision stays
_MOST_COLLECTED = 100  # at a time
_REFRESH_REST = 1.0  # seconds; stars rejected together do not each list pipelines and modules again


class Revisions:
    """Graphs by revision; equal graphs are shared by all stars."""

    def __init__(self, client: KubeClient, view: View) -> None:
        self._client = client
        self._view = view
        self._graphs: dict[str, Graph] = {}
        self._unpinned: dict[str, Document] = {}  # ControllerRevisions that no star has needed yet
        self._used: dict[str, float] = {}  # when a star asked for it last
        # By pipeline: the resource versions that its revision was built from, and the revision.
        self._known: dict[str, tuple[tuple[str, ...], str]] = {}
        self._refreshed: float | None = None

    async def of(self, processing: StarProcessing) -> tuple[str, Graph]:
        """The revision and graph that a star runs with, or would run with. A new rerun takes the current ones.

        Raises GraphInvalid, also if the star's revision was deleted and cannot be recreated.
        """
        if processing.status.revision is not None and rerun.wanted(processing) is None:
            return await self.pinned(processing)
        name, graph = self.current(processing.spec.pipeline)
        self._used[name] = time.monotonic()
        return name, graph

    async def pinned(self, processing: StarProcessing) -> tuple[str, Graph]:
        """The revision that the star's status names, and its graph. Raises GraphInvalid."""
        name = processing.status.revision
        assert name is not None
        graph = self._graphs[name] if name in self._graphs else await self._load(name, processing.spec.pipeline)
        self._used[name] = time.monotonic()
        return name, graph

    async def _load(self, name: str, pipeline: str) -> Graph:
        try:
            revision = await self._client.get(REVISION, name)
        except NotFound:
            return self._recovered(name, pipeline)
        try:
            graph = load_revision(pipeline, revision["data"])
        except ValidationError as error:
            raise GraphInvalid("RevisionInvalid", _problems(error, f"ControllerRevision {name}: data")) from error
        self._graphs[name] = graph
        return graph

    async def pin(self, name: str) -> None:
        """Store the revision before a star's status names it. Raises ApiError."""
        body = self._unpinned.get(name)
        if body is not None:
            with suppress(AlreadyExists):
                await self._client.create(REVISION, body)
            self._unpinned.pop(name, None)

    async def collect(self, now: str) -> None:
        """Delete revisions that no star names any more, except recent ones. Raises ApiError."""
        found = await self._client.list(REVISION, SELECTOR)
        needed = self._view.revisions() | self._current_names()
        recent = time.monotonic() - _KEPT_SECONDS
        idle = [
            one["metadata"]
            for one in found
            if one["metadata"]["name"] not in needed
            and seconds_between(one["metadata"]["creationTimestamp"], now) > _KEPT_SECONDS
        ]
        for metadata in idle[:_MOST_COLLECTED]:
            name = metadata["name"]
            if self._used.get(name, recent) > recent:
                continue  # a star accepted just now may be about to name it
            # From here on it is built again if needed.
            for memory in (self._graphs, self._used, self._unpinned):
                memory.pop(name, None)
            await self._client.delete(REVISION, name, uid=metadata["uid"])
            logger.info("Unused revision deleted", extra={"revision": name})

    def _current_names(self) -> set[str]:
        names = set()
        for pipeline in self._view.pipelines():
            with suppress(GraphInvalid):
                names.add(self.current(pipeline)[0])
        return names

    def _recovered(self, name: str, pipeline: str) -> Graph:
        """Recreate a deleted revision, which works as long as pipeline and modules have not changed."""
        with suppress(GraphInvalid):
            current, graph = self.current(pipeline)
            if current == name:
                return graph
        raise GraphInvalid("RevisionLost", [f"status.revision: ControllerRevision {name!r} was deleted"])

    async def refresh(self) -> None:
        """List pipelines and modules again, since events of different kinds may arrive in any order."""
        started = time.monotonic()
        if self._refreshed is not None and started < self._refreshed + _REFRESH_REST:
            return  # newer changes arrive through the watches
        self._refreshed = started
        for kind in (MODULE, PIPELINE):
            await relist(self._client, self._view, kind)

    def current(self, pipeline: str) -> tuple[str, Graph]:
        """The revision and graph of the current pipeline and modules. Raises GraphInvalid."""
        stored = self._view.pipeline(pipeline)
        if stored is None:
            raise GraphInvalid("PipelineNotFound", [f"spec.pipeline: there is no StarPipeline {pipeline!r}"])
        used = [self._view.module(step.get("module", "")) for step in stored["spec"].get("steps", [])]
        source = tuple(one["metadata"]["resourceVersion"] if one else "" for one in (stored, *used))
        known = self._known.get(pipeline)
        if known is not None and known[0] == source and known[1] in self._graphs:
            return known[1], self._graphs[known[1]]
        name, graph = self._built(pipeline, stored, [one for one in used if one is not None])
        self._known[pipeline] = source, name
        return name, graph

    def _built(self, pipeline: str, stored: Document, used: list[Document]) -> tuple[str, Graph]:
        spec = _read(StarPipelineSpec, stored, "StarPipeline")
        modules = {one["metadata"]["name"]: _read(ScienceModuleSpec, one, "ScienceModule") for one in used}
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
    """An object's spec. Raises GraphInvalid, naming object and field, if it was written under an older schema."""
    try:
        return model.model_validate(stored["spec"])
    except ValidationError as error:
        where = f"{kind} {stored['metadata']['name']}: spec"
        raise GraphInvalid("PipelineInvalid", _problems(error, where)) from error


def _problems(error: ValidationError, where: str) -> list[str]:
    return [f"{where}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
