"""Wait for a catalogue: what the trigger does, and a worker where nothing is deferred."""

import asyncio
import time
from typing import Any

from kubernetes_asyncio.client import ApiClient

from plato_sas.api import CatalogueState
from plato_sas_airflow.catalogues.client import StarCatalogueClient
from plato_sas_airflow.catalogues.resource import DELETED, UNFINISHED, CatalogueRef, state_at_rest, summary
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.watching import Log, Observer, Watcher, until_first


class CatalogueObserver(Observer):
    """What a watch shows of one catalogue.

    `end`: what a task returns for it, once it has ended; its `state` may also be `Deleted`. A catalogue that is
    `Rejected` has not ended: it is made as soon as somebody mends its pipeline. `rejected`: what a task returns for it
    meanwhile.
    """

    def __init__(self, catalogue: CatalogueRef, log: Log) -> None:
        self.end: dict[str, Any] | None = None
        self.rejected: dict[str, Any] | None = None
        self._catalogue = catalogue
        self._log = log
        self._said: object = None

    @property
    def selector(self) -> str:
        return ""

    @property
    def done(self) -> bool:
        return self.end is not None

    def observe(self, resource: Resource) -> None:
        if resource["metadata"]["uid"] != self._catalogue.uid:
            self._gone()
            return
        state, told = state_at_rest(resource), summary(resource)
        self.rejected = told if state is CatalogueState.REJECTED else None
        if state is not None and self.rejected is None:
            self.end = told
        seen = (told.get("state"), told.get("attempt"), told.get("message"))
        if seen != self._said:
            self._said = seen
            message = f": {told['message']}" if told.get("message") else ""
            self._log.info(
                "Catalogue %s: %s, attempt %s%s",
                self._catalogue.name,
                told.get("state", "not seen by the operator yet"),
                told.get("attempt", 0),
                message,
            )

    async def missing(self, listed: set[str]) -> bool:
        if self._catalogue.name not in listed:
            self._gone()
        return False

    async def deleted(self, name: str) -> bool:  # noqa: ARG002  (there is one name)
        self._gone()
        return False

    def _gone(self) -> None:
        if self.end is None:
            self.end = {"name": self._catalogue.name, "state": DELETED}


async def wait_for_catalogue(
    connection: ApiClient, catalogue: CatalogueRef, log: Log, deadline: float | None, rejected_seconds: float
) -> dict[str, Any]:
    """What a task returns for the catalogue when it has ended; its state is `Unfinished` when the deadline has passed.

    Raises ApiException when the server keeps refusing for another reason than being busy.
    """
    observer = CatalogueObserver(catalogue, log)
    client = StarCatalogueClient(connection)
    fields = f"metadata.name={catalogue.name}"
    watching = Watcher(client, catalogue.namespace, observer, log, fields=fields).run()
    seconds = None if deadline is None else max(0.0, deadline - time.time())
    await until_first(watching, _rejection(observer, rejected_seconds), seconds=seconds)
    return observer.end or observer.rejected or {"name": catalogue.name, "state": UNFINISHED}


async def _rejection(observer: CatalogueObserver, seconds: float) -> None:
    """Return when the catalogue has been `Rejected` for so long, without a break that was seen."""
    since: float | None = None
    while True:
        now = time.monotonic()
        since = None if observer.rejected is None else since or now
        if since is not None and now - since >= seconds:
            return
        await asyncio.sleep(min(5.0, max(0.1, seconds / 10)))
