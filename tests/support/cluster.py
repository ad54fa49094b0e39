"""An API server in memory, behind the methods of `KubeClient`, with a kubelet that runs Jobs on request."""

import asyncio
import copy
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from plato_sas.api import Document, ScienceModuleSpec, StarPipelineSpec
from plato_sas.controller.kube.client import AlreadyExists, ApiError, NotFound
from plato_sas.controller.kube.resources import JOB, MODULE, PIPELINE, POD, PROCESSING, REVISION, Kind
from plato_sas.jobs.attempt import job_finished
from tests.support.kubelet import Kubelet

Names = list[str]  # within FakeCluster `list` is a method
Watcher = Callable[[Kind, str, Document], object]


class Killed(BaseException):
    """The operator's process is gone."""


class FakeCluster:
    """Objects by kind and name. `kill_after` counts requests: the one that brings it to 0 is the operator's last.

    What the operator itself writes comes back through the watch after the answer to its request.
    """

    def __init__(self, time: float = 1_900_000_000.0) -> None:
        self.namespace = "plato"
        self.objects: dict[tuple[str, str], Document] = {}
        self.jobs_created: Names = []
        self.requests: Names = []
        self.kill_after: int | None = None
        self.dead = False  # the operator; what is left of it gets no answer any more
        self.refuse: Callable[[str, Kind, str], ApiError | None] = lambda verb, kind, name: None
        self.watchers: list[Watcher] = []
        self.kubelet = Kubelet(self.now)
        self.finish_at_once = False
        self._version = itertools.count(1)
        self._time = time  # seconds since 1970

    # KubeClient's methods

    async def pages(
        self, kind: Kind, selector: str | None = None, fields: str | None = None
    ) -> AsyncIterator["list[Document]"]:
        for item in await self.list(kind, selector, fields):
            yield [item]

    async def list(self, kind: Kind, selector: str | None = None, fields: str | None = None) -> list[Document]:
        self._request("list", kind, selector or "")
        found = [one for (plural, _), one in self.objects.items() if plural == kind.plural]
        if selector:
            key, _, value = selector.partition("=")
            found = [one for one in found if one["metadata"].get("labels", {}).get(key) == value]
        for pair in filter(None, (fields or "").split(",")):
            path, _, value = pair.partition("=")
            found = [one for one in found if _at(one, path) == value]
        return copy.deepcopy(found)

    async def get(self, kind: Kind, name: str) -> Document:
        self._request("get", kind, name)
        return copy.deepcopy(self._stored(kind, name))

    async def create(self, kind: Kind, body: Document) -> Document:
        name = body["metadata"].get("name") or f"{body['metadata']['generateName']}{next(self._version)}"
        self._request("create", kind, name, kill=False)
        if (kind.plural, name) in self.objects:
            raise AlreadyExists(409, f"{kind.plural} {name} already exists")
        if kind is JOB:
            self.jobs_created.append(name)
            if self.finish_at_once:
                asyncio.get_running_loop().call_soon(self.finish, name)
        created = self.put(kind, {**body, "metadata": {**body["metadata"], "name": name}}, echo_later=True)
        self._count_down()
        return created

    async def patch(self, kind: Kind, name: str, body: Document, subresource: str | None = None) -> Document:
        self._request("patch", kind, name, kill=False)
        stored = copy.deepcopy(self._stored(kind, name))
        uid = body.get("metadata", {}).get("uid")
        if uid is not None and uid != stored["metadata"]["uid"]:
            raise ApiError(409, "the uid in the precondition is another's")
        merged = _merged(stored, {"status": body["status"]} if subresource == "status" else body)
        patched = self.put(kind, merged, echo_later=True) if merged != stored else stored
        self._count_down()
        return patched

    async def delete(self, kind: Kind, name: str, uid: str | None = None, version: str | None = None) -> None:
        self._request("delete", kind, name, kill=False)
        known = self.objects.get((kind.plural, name))
        meant = {"uid": uid, "resourceVersion": version}
        if known and all(value in (None, known["metadata"][key]) for key, value in meant.items()):
            self.remove(kind, name)
        self._count_down()

    async def stream(
        self, kind: Kind, name: str, subresource: str, query: dict[str, str]
    ) -> AsyncGenerator[bytes, None]:
        self._request("get", kind, f"{name}/{subresource}")
        self._stored(kind, name)
        yield f"{query['container']} says hello\n".encode()

    # The cluster's own life

    def put(self, kind: Kind, body: Document, *, echo_later: bool = False) -> Document:
        """Create or replace, as somebody with kubectl would."""
        item = copy.deepcopy(body)
        name = item["metadata"]["name"]
        known = self.objects.get((kind.plural, name))
        item["metadata"] |= {"resourceVersion": str(next(self._version)), "namespace": self.namespace}
        if known is None:
            item["metadata"].setdefault("uid", f"uid-{next(self._version)}")
            item["metadata"].setdefault("creationTimestamp", self.now())
            item["metadata"].setdefault("generation", 1)
        else:
            item["metadata"] = known["metadata"] | item["metadata"]
        self.objects[kind.plural, name] = item
        event = "ADDED" if known is None else "MODIFIED"
        if echo_later:
            asyncio.get_running_loop().call_soon(self._tell, kind, event, copy.deepcopy(item))
        else:
            self._tell(kind, event, item)
        return copy.deepcopy(item)

    def remove(self, kind: Kind, name: str) -> None:
        """An object goes, and with a Job its pod. A star's Jobs go when `collect_garbage` is called."""
        item = self.objects.pop((kind.plural, name), None)
        if item is not None:
            self._tell(kind, "DELETED", item)
            if kind is JOB:
                self.remove(POD, f"{name}-pod")

    def collect_garbage(self) -> None:
        """Jobs whose star is gone."""
        alive = {one["metadata"]["uid"] for one in self.all(PROCESSING).values()}
        for name, job in self.all(JOB).items():
            if job["metadata"]["ownerReferences"][0]["uid"] not in alive:
                self.remove(JOB, name)

    def now(self) -> str:
        """Every look at the clock takes a second."""
        self._time += 1
        return datetime.fromtimestamp(self._time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def advance(self, seconds: float) -> None:
        self._time += seconds

    def run_until(self, job: str, step: str) -> None:
        """The Job's pod has come to a step, which runs now."""
        self.put(POD, self.kubelet.running(self._stored(JOB, job), step))

    def finish(self, job: str) -> None:
        """The Job's pod runs to its end."""
        document = self.objects.get((JOB.plural, job))
        if document is None:
            return  # deleted meanwhile
        pod = self.kubelet.run(document)
        self.put(POD, pod)
        failed = pod["status"]["phase"] == "Failed"
        at = self.now()
        condition = {"type": "Failed" if failed else "Complete", "status": "True", "lastTransitionTime": at}
        status: Document = {"startTime": pod["status"]["startTime"], "conditions": [condition]}
        self.put(JOB, document | {"status": status if failed else status | {"completionTime": at}})

    def active_jobs(self) -> Names:
        return [name for name, job in self.all(JOB).items() if not job_finished(job)]

    def published(self) -> Counter[tuple[str, int, str]]:
        """How often each step's products were published, by star (uid), rerun and step."""
        return Counter(self.kubelet.published)

    def catalogue(self, spec: StarPipelineSpec, modules: Mapping[str, ScienceModuleSpec]) -> None:
        for name, one in modules.items():
            self.put(MODULE, {"metadata": {"name": name}, "spec": one.to_dict()})
        self.put(PIPELINE, {"metadata": {"name": "sas-test"}, "spec": spec.to_dict()})

    def star(self, name: str, **spec: Any) -> None:
        """Apply a StarProcessing; with the name of a known one, change its spec."""
        known = self.objects.get((PROCESSING.plural, name))
        document = copy.deepcopy(known) if known else {"metadata": {"name": name}}
        fields = {"star": name, "campaign": "q1", "pipeline": "sas-test"}
        document["spec"] = fields | document.get("spec", {}) | spec
        if known:
            document["metadata"]["generation"] = known["metadata"]["generation"] + 1
        self.put(PROCESSING, document)

    def status(self, name: str) -> Document:
        status: Document = self._stored(PROCESSING, name).get("status", {})
        return status

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        one = next(one for one in self.status(name)["conditions"] if one["type"] == kind)
        return one["status"], one["reason"], one["message"]

    def all(self, kind: Kind) -> dict[str, Document]:
        return {name: one for (plural, name), one in self.objects.items() if plural == kind.plural}

    def revisions(self) -> Names:
        return [*self.all(REVISION)]

    def _stored(self, kind: Kind, name: str) -> Document:
        if (kind.plural, name) not in self.objects:
            raise NotFound(404, f"{kind.plural} {name} not found")
        return self.objects[kind.plural, name]

    def _tell(self, kind: Kind, event: str, item: Document) -> None:
        for watcher in self.watchers:
            watcher(kind, event, copy.deepcopy(item))

    def _request(self, verb: str, kind: Kind, name: str, *, kill: bool = True) -> None:
        if self.dead:
            raise Killed
        self.requests.append(f"{verb} {kind.plural} {name}")
        if error := self.refuse(verb, kind, name):
            raise error
        if kill:
            self._count_down()

    def _count_down(self) -> None:
        """A request that changes something is counted when it is done: the answer never reaches the operator."""
        if self.kill_after is None:
            return
        self.kill_after -= 1
        if self.kill_after <= 0:
            self.kill_after = None
            self.dead = True
            raise Killed


def _merged(target: Document, patch: Mapping[str, Any]) -> Document:
    """JSON merge patch, RFC 7396."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            known = result.get(key)
            result[key] = _merged(known if isinstance(known, dict) else {}, value)
        else:
            result[key] = value
    return result


def _at(item: Document, path: str) -> Any:
    """The value at a path such as `involvedObject.name`."""
    value: Any = item
    for key in path.split("."):
        value = value.get(key, {})
    return value
