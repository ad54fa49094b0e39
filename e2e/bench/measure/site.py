"""A namespace with an operator of its own for one benchmark, removed afterwards."""

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.bench.measure import cpu
from e2e.bench.measure.metrics import Samples
from e2e.cluster import connect, ensure_storage
from e2e.cluster.waiting import wait_until
from e2e.install.release import install, uninstall
from e2e.kubernetes import apply, get, kubectl
from e2e.processes.command import CommandFailed
from e2e.progress import phase
from plato_sas.api import Document

NAMESPACE = "plato-bench"
_SELECTOR = "--selector=app.kubernetes.io/name=plato-sas"
_METRICS_PORT = 9090
_STUCK = "plato_sas_stuck_stars"
_DELETE_SECONDS = 900  # tens of thousands of objects


class BenchError(Exception):
    """A benchmark cannot be run, or what it measures did not happen."""


@dataclass(frozen=True)
class Site:
    """Where a benchmark runs. `products` is the volume's folder on this machine."""

    namespace: str
    inputs: Path
    products: Path

    def apply(self, documents: Sequence[Document]) -> None:
        apply(documents, namespace=self.namespace)

    def operator_pod(self) -> Document:
        """The operator's pod. Raises BenchError unless there is exactly one that is not on its way out."""
        found = get("pods", _SELECTOR, namespace=self.namespace)
        pods = [one for one in found if "deletionTimestamp" not in one["metadata"]]
        if len(pods) != 1:
            raise BenchError(f"namespace {self.namespace} has {len(pods)} operators")
        return dict(pods[0])

    def operator_pid(self) -> int:
        """The operator's process. Raises BenchError."""
        pod = self.operator_pod()
        pid = cpu.operator_pid(pod["metadata"]["uid"])
        if pid is None:
            raise BenchError(f"no process of pod {pod['metadata']['name']}; is the cluster a local one?")
        return pid

    def operator_proxy(self, port: int, path: str) -> str:
        """The path on the API server that leads to the operator's port. Raises BenchError."""
        name = self.operator_pod()["metadata"]["name"]
        return f"/api/v1/namespaces/{self.namespace}/pods/{name}:{port}/proxy{path}"

    def metrics_path(self) -> str:
        """The path on the API server that leads to the operator's metrics. Raises BenchError."""
        return self.operator_proxy(_METRICS_PORT, "/metrics")

    def restarts(self) -> int:
        """How often the operator's container was restarted in its present pod."""
        return sum(one["restartCount"] for one in self.operator_pod()["status"].get("containerStatuses", []))

    def check_nothing_is_stuck(self) -> None:
        """Raises BenchError if the operator counts a star that stands still without a reason."""
        stuck = Samples.parse(kubectl("get", "--raw", self.metrics_path()), _STUCK).one(_STUCK, math.nan)
        if stuck != 0:
            raise BenchError(f"{_STUCK} is {stuck:.0f} at the end")


@contextmanager
def bench_site(*, values: Sequence[str] = (), namespace: str = NAMESPACE) -> Iterator[Site]:
    """A fresh namespace with an operator from the chart. Raises BenchError, ClusterError, CommandFailed."""
    platform = connect()
    if not platform.status().up:
        raise BenchError("the test platform is not up: make cluster load")
    remove(namespace)
    try:
        with phase(f"namespace {namespace}, operator"):
            inputs, products = ensure_storage(platform, namespace)
            # As a campaign is run: the events of the ordinary course are writes, too.
            install(namespace, values=("controller.normalEvents=false", *values))
        site = Site(namespace, inputs, products)
        yield site
        site.check_nothing_is_stuck()
    finally:
        remove(namespace)
        for folder in (inputs, products):
            empty(folder)


def remove(namespace: str) -> None:
    """Remove the namespace, its volumes' objects and everything in it."""
    exists = kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name").strip()
    if exists:
        with phase(f"removing namespace {namespace}") as running:
            uninstall(namespace)
            kubectl("delete", "namespace", namespace, "--wait=false")

            def left() -> str:
                if not kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name").strip():
                    return ""
                running.detail = _remaining(namespace)
                return running.detail or "it is still there"

            wait_until(left, what=f"deletion of namespace {namespace}", timeout=_DELETE_SECONDS)
    volumes = [f"persistentvolume/{namespace}-{claim}" for claim in ("sas-inputs", "sas-products")]
    kubectl("delete", *volumes, "--ignore-not-found", "--timeout=30s")


def _remaining(namespace: str) -> str:
    with suppress(CommandFailed, ValueError, KeyError):
        found = json.loads(kubectl("get", "namespace", namespace, "-o", "json"))
        for condition in found["status"].get("conditions", []):
            if condition["type"] == "NamespaceContentRemaining" and condition["status"] == "True":
                return str(condition["message"])[:160]
    return ""


def empty(folder: Path) -> None:
    """Remove what is in a folder."""
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()
