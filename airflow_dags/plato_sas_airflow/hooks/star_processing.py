"""The hook: StarProcessing resources through an Airflow connection to Kubernetes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook, KubernetesHook

from plato_sas_airflow.batches import applying
from plato_sas_airflow.batches.adoption import Action, RerunRequest
from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.kube.client import StarProcessingClient
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.settings import DEFAULT_CONNECTION

T = TypeVar("T")


class StarProcessingHook(AsyncKubernetesHook):
    """Reads, applies and cancels StarProcessing resources.

    `client()` is for asynchronous code and keeps one connection while it is open. The other methods are for
    synchronous code, such as a `@task`; each opens a connection.

    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`. Its extras choose the credentials of
        the pod (`in_cluster`) or of a kubeconfig (`kube_config_path`, `kube_config`, `cluster_context`). If the
        connection `kubernetes_default` does not exist, the pod's are used, else the default kubeconfig.
    """

    conn_name_attr = "kubernetes_conn_id"
    conn_type = "plato_sas"
    hook_name = "PLATO SAS"

    def __init__(self, kubernetes_conn_id: str = DEFAULT_CONNECTION, **kwargs: Any) -> None:
        super().__init__(kubernetes_conn_id=kubernetes_conn_id, **kwargs)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[StarProcessingClient]:
        """A client with one connection pool, which is closed at the end."""
        async with self.get_conn() as connection:
            yield StarProcessingClient(connection)

    def extras(self) -> dict[str, Any]:
        """The connection's extras."""
        found: dict[str, Any] = KubernetesHook.get_connection(self.conn_id or self.default_conn_name).extra_dejson
        return found

    def namespace(self) -> str:
        """The connection's namespace. Raises BatchError if it has none."""
        found = self.extras().get("namespace")
        if not found:
            raise BatchError(f"namespace: none is given, and the connection {self.conn_id!r} has none in its extras")
        return str(found)

    def get(self, name: str, namespace: str) -> Resource | None:
        """The resource, or None if there is none of that name."""
        return self.run(lambda client: client.get(name, namespace))

    def select(self, namespace: str, selector: str) -> list[Resource]:
        """The resources that match a label selector."""
        return self.run(lambda client: client.select(namespace, selector, lambda item: item))

    def apply_batch(self, batch: Batch, request: RerunRequest | None = None) -> Counter[Action]:
        """Create, adopt or rerun the batch's resources; see `applying.apply_batch`."""
        return self.run(lambda client: applying.apply_batch(client, batch, request))

    def cancel_batch(self, batch: Batch) -> int:
        """Cancel the batch's unfinished stars; see `applying.cancel_batch`."""
        return self.run(lambda client: applying.cancel_batch(client, batch))

    def test_connection(self) -> tuple[bool, str]:
        """Whether the stars of the connection's namespace can be listed; used by the button in Airflow's pages."""

        async def first_page(client: StarProcessingClient) -> None:
            async with aclosing(client.pages(namespace, "")) as pages:
                await anext(pages)

        try:
            namespace = self.namespace()
            self.run(first_page)
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"
        return True, f"StarProcessings can be listed in namespace {namespace}"

    def run(self, call: Callable[[StarProcessingClient], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine with a client, and return its result."""

        async def connected() -> T:
            async with self.client() as client:
                return await call(client)

        # A separate thread, since an event loop may be running here (in a notebook or an async test).
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(asyncio.run, connected()).result()
