"""The hook: StarProcessing resources through an Airflow connection of the type `kubernetes`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook

from plato_sas_airflow.adoption import Action
from plato_sas_airflow.batch import Batch, Resource
from plato_sas_airflow.client import StarProcessingClient

T = TypeVar("T")


class StarProcessingHook(AsyncKubernetesHook):
    """Reads, applies and cancels StarProcessing resources.

    The asynchronous side is `client()`: one connection for as long as it is open. `get`, `apply_batch` and
    `cancel_batch` are for synchronous code.

    :param kubernetes_conn_id: connection of the type `kubernetes`: its extras say whether the credentials are those of
        the pod (`in_cluster`) or of a kubeconfig (`kube_config_path`, `kube_config`, `cluster_context`).
    """

    hook_name = "PLATO StarProcessing"

    def __init__(self, kubernetes_conn_id: str = AsyncKubernetesHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(kubernetes_conn_id=kubernetes_conn_id, **kwargs)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[StarProcessingClient]:
        """A client with one connection pool, closed at the end."""
        async with self.get_conn() as connection:
            yield StarProcessingClient(connection)

    def get(self, name: str, namespace: str) -> Resource | None:
        """A resource, or None if there is none of that name."""
        return self._run(lambda client: client.get(name, namespace))

    def apply_batch(self, batch: Batch) -> Counter[Action]:
        """Create, adopt or replace the batch's resources; see `StarProcessingClient.apply_batch`."""
        return self._run(lambda client: client.apply_batch(batch))

    def cancel_batch(self, batch: Batch) -> int:
        """Cancel the batch's unfinished stars; see `StarProcessingClient.cancel_batch`."""
        return self._run(lambda client: client.cancel_batch(batch))

    def _run(self, call: Callable[[StarProcessingClient], Coroutine[Any, Any, T]]) -> T:
        async def connected() -> T:
            async with self.client() as client:
                return await call(client)

        # In a thread of its own, so that it also works where an event loop is running (a notebook, an async test).
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(asyncio.run, connected()).result()
