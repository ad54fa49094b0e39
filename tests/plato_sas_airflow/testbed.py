"""What the Airflow package's tests share: the API server as others see it, a task, waiting, a log."""

import asyncio
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kubernetes import client, config
from kubernetes_asyncio import client as async_client
from kubernetes_asyncio import config as async_config

from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.kube.resource import Resource

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = REPOSITORY / ".local"
KUBECONFIG = LOCAL / "kubeconfig"
KUBECTL = LOCAL / "bin" / "kubectl"
CONNECTION = "plato_sas_test"
GROUP, VERSION, PLURAL = "plato-sas.io", "v1alpha1", "starprocessings"


class Cluster:
    """The API server as the operator and a user see it, in one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.api = client.CustomObjectsApi(config.new_client_from_config(str(KUBECONFIG)))

    @property
    def _where(self) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.namespace, PLURAL

    def get(self, name: str) -> Resource:
        found: Resource = self.api.get_namespaced_custom_object(*self._where, name)
        return found

    def names(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.api.list_namespaced_custom_object(*self._where)["items"]}

    def resource_version(self) -> str:
        return str(self.api.list_namespaced_custom_object(*self._where)["metadata"]["resourceVersion"])

    def create(self, name: str, star: str, pipeline: str = "sas-demo", campaign: str = "Q1") -> None:
        """As `kubectl create` would."""
        spec = {"star": star, "campaign": campaign, "pipeline": pipeline}
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "StarProcessing", "metadata": {"name": name}, "spec": spec}
        self.api.create_namespaced_custom_object(*self._where, body)

    def patch(self, name: str, change: dict[str, Any]) -> None:
        self.api.patch_namespaced_custom_object(*self._where, name, change)

    def delete(self, name: str) -> None:
        self.api.delete_namespaced_custom_object(*self._where, name)

    def set_state(self, name: str, state: str, observed: int | None = None, **status: Any) -> None:
        """Write the status as the operator does. `observed`: generation (default: the present one)."""
        generation = self.get(name)["metadata"]["generation"] if observed is None else observed
        body = {"status": {"state": state, "observedGeneration": generation, **status}}
        self.api.patch_namespaced_custom_object_status(*self._where, name, body)

    async def set_states(self, names: Iterable[str], state_of: Callable[[str], str], at_once: int = 32) -> None:
        """Write the status of many stars that were never changed since they were created."""
        waiting = iter(list(names))
        connection = await async_config.new_client_from_config(str(KUBECONFIG))

        async def work(api: async_client.CustomObjectsApi) -> None:
            for name in waiting:
                body = {"status": {"state": state_of(name), "observedGeneration": 1}}
                await api.patch_namespaced_custom_object_status(
                    *self._where, name, body, _content_type="application/merge-patch+json"
                )

        async with connection, asyncio.TaskGroup() as group:
            api = async_client.CustomObjectsApi(connection)
            for _ in range(at_once):
                group.create_task(work(api))


def kubectl(*arguments: str) -> None:
    subprocess.run(
        [str(KUBECTL), "--kubeconfig", str(KUBECONFIG), *arguments], check=True, capture_output=True, timeout=60
    )


class Task(SimpleNamespace):
    """What an operator sees of its task instance."""

    def __init__(self, **changes: Any) -> None:
        given = {"dag_id": "dag", "run_id": "run", "task_id": "stars", "map_index": -1, "try_number": 1}
        super().__init__(**{**given, "max_tries": 0, "pushed": {}, **changes})

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


async def until(condition: Callable[[], bool], seconds: float = 20.0, every: float = 0.05) -> None:
    """Look `every` so many seconds until a condition is true. Raises TimeoutError when it does not come true."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  (it is another process that changes)
            await asyncio.sleep(every)


class Listening:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, /, *args: object) -> None:
        self.lines.append(message % args)

    warning = error = info

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def failed_stars(result: BatchResult) -> dict[str, str]:
    """Star to state."""
    return {failure.star: failure.state for failure in result.failures}
