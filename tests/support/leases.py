"""An API server for Leases in memory, with optimistic concurrency by resourceVersion."""

import copy
import itertools
from typing import Any

from plato_sas.controller.kube.client import AlreadyExists, ApiError, NotFound
from plato_sas.controller.kube.resources import Kind

Document = dict[str, Any]


class LeaseServer:
    """`get`, `create` and `patch` of KubeClient. `down`: nothing is answered. `lose_answers`: it is done, untold."""

    def __init__(self) -> None:
        self.objects: dict[str, Document] = {}
        self.down = False
        self.lose_answers = False
        self.writes = 0
        self._version = itertools.count(1)

    async def get(self, kind: Kind, name: str) -> Document:
        self._answer()
        return copy.deepcopy(self._stored(name))

    async def create(self, kind: Kind, body: Document) -> Document:
        self._answer()
        name = body["metadata"]["name"]
        if name in self.objects:
            raise AlreadyExists(409, f"leases {name!r} already exists")
        return self._store(name, copy.deepcopy(body))

    async def patch(self, kind: Kind, name: str, body: Document) -> Document:
        self._answer()
        stored = self._stored(name)
        version = body.get("metadata", {}).get("resourceVersion")
        if version is not None and version != stored["metadata"]["resourceVersion"]:
            raise ApiError(409, "the object has been modified")
        return self._store(name, {**stored, "spec": stored["spec"] | body.get("spec", {})})

    def touch(self, name: str, **spec: Any) -> None:
        """Somebody writes to it by hand."""
        stored = self._stored(name)
        self._store(name, {**stored, "spec": stored["spec"] | spec})

    def holder(self, name: str) -> str:
        return str(self._stored(name)["spec"]["holderIdentity"])

    def _stored(self, name: str) -> Document:
        if name not in self.objects:
            raise NotFound(404, f"leases {name!r} not found")
        return self.objects[name]

    def _store(self, name: str, item: Document) -> Document:
        self.writes += 1
        item["metadata"] = item["metadata"] | {"resourceVersion": str(next(self._version))}
        self.objects[name] = item
        if self.lose_answers:
            raise ApiError(0, "the connection was reset")
        return copy.deepcopy(item)

    def _answer(self) -> None:
        if self.down:
            raise ApiError(0, "connection refused")
