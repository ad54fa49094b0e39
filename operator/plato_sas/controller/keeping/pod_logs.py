"""Read the logs of a pod's containers from the API server, with bounded effort."""

from contextlib import aclosing
from dataclasses import dataclass

from plato_sas.api import Document
from plato_sas.controller.keeping.excerpt import Excerpt
from plato_sas.controller.kube.client import KubeClient
from plato_sas.controller.kube.resources import POD
from plato_sas.jobs.names import container_step

# The kubelet rotates logs at 10 MiB by default and serves only the newest file, which is larger if a module writes
# faster than the kubelet checks. Up to this size a log is read whole; of a longer one, the end is requested separately.
_BUDGET = 32 << 20


@dataclass(frozen=True)
class Began:
    """A container that started, according to its pod's status."""

    name: str
    pod: str
    node: str
    exit_code: int | None
    started: str | None
    finished: str | None
    reason: str | None
    report: str | None = None  # the stager's report if it exited with 0: all that it prints

    def header(self, size: int) -> str:
        """One line. `size`: the bytes of the log below it, which may itself have lines like this one."""
        fields = {
            "container": self.name,
            "pod": self.pod,
            "node": self.node,
            "exitCode": self.exit_code,
            "started": self.started,
            "finished": self.finished,
            "reason": self.reason,
            "bytes": size,
        }
        return "==== " + " ".join(f"{key}={'-' if value is None else value}" for key, value in fields.items())


def began(pod: Document) -> list[Began]:
    """The containers of a pod that started, in the order in which they ran."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    ordered = [one["name"] for key in ("initContainers", "containers") for one in spec.get(key, [])]
    place = {name: index for index, name in enumerate(ordered)}
    statuses = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found = []

    def order(one: Document) -> tuple[int, str]:
        # The view may have dropped the pod's spec: then order by time, then as the kubelet does, init containers first.
        state = one.get("state", {})
        started = (state.get("terminated") or state.get("running") or {}).get("startedAt") or ""
        return place.get(one["name"], len(place)), started

    for one in sorted(statuses, key=order):
        state = one.get("state", {})
        ended, running = state.get("terminated"), state.get("running")
        if ended is None and running is None:
            continue
        about = ended or running
        found.append(
            Began(
                name=one["name"],
                pod=pod["metadata"]["name"],
                node=spec.get("nodeName") or "-",
                exit_code=about.get("exitCode"),
                started=about.get("startedAt"),
                finished=about.get("finishedAt"),
                reason=about.get("reason"),
                report=_report(one["name"], ended),
            )
        )
    return found


def _report(container: str, ended: Document | None) -> str | None:
    said = container_step(container) is None and ended is not None and ended.get("exitCode") == 0
    return str(ended.get("message", "")) if said and ended is not None else None


async def read(client: KubeClient, container: Began, max_bytes: int, budget: int = _BUDGET) -> Excerpt:
    """Standard output and error of a finished container. Raises ApiError."""
    excerpt = await _stream(client, container, Excerpt(max_bytes), {"limitBytes": str(budget)})
    if excerpt.total < budget:
        return excerpt
    lines = excerpt.lines()
    while True:
        query = {"limitBytes": str(budget), "tailLines": str(lines)}
        end = await _stream(client, container, Excerpt(max_bytes), query)
        if end.total < budget or lines == 1:
            excerpt.replace_tail(end)
            return excerpt
        lines = max(1, lines // 8)  # the lines are much longer than at the beginning: this was not the end yet


async def _stream(client: KubeClient, container: Began, into: Excerpt, query: dict[str, str]) -> Excerpt:
    query = {"container": container.name, **query}
    async with aclosing(client.stream(POD, container.pod, "log", query)) as blocks:
        async for block in blocks:
            into.add(block)
    return into
