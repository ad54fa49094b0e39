"""Wait for a catalogue: in the trigger, or in a worker if the task is not deferred."""

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

    `end`: what a task returns for it once its state is final, or once it was deleted (`state`: `Deleted`). A rejected
    catalogue is made as soon as its pipeline is corrected; `rejected`: what a task returns for it meanwhile.
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
        state, content = state_at_rest(resource), summary(resource)
        self.rejected = content if state is CatalogueState.REJECTED else None
        if state is not None and self.rejected is None:
            self.end = content
        seen = (content.get("state"), content.get("attempt"), content.get("message"))
        if seen != self._said:
            self._said = seen
            message = f": {content['message']}" if content.get("message") else ""
            self._log.info(
                "Catalogue %s: %s, attempt %s%s",
                self._catalogue.name,
                content.get("state", "not seen by the operator yet"),
                content.get("attempt", 0),
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
    """Return what a task returns for the catalogue; its state is `Unfinished` if the deadline has passed.

    :param deadline: seconds since the epoch; None: no deadline.
    :param rejected_seconds: a catalogue that stays `Rejected` for longer has failed.

    Raises ApiException if the server keeps refusing for a reason other than overload.
    """
    observer = CatalogueObserver(catalogue, log)
    client = StarCatalogueClient(connection)
    fields = f"metadata.name={catalogue.name}"
    watching = Watcher(client, catalogue.namespace, observer, log, fields=fields).run()
    seconds = None if deadline is None else max(0.0, deadline - time.time())
    await until_first(watching, _rejection(observer, rejected_seconds), seconds=seconds)
    return observer.end or observer.rejected or {"name": catalogue.name, "state": UNFINISHED}


async def _rejection(observer: CatalogueObserver, seconds: float) -> None:
    """Return when the catalogue has been seen as `Rejected` for this long without a break."""
    since: float | None = None
    while True:
        now = time.monotonic()
        since = None if observer.rejected is None else since or now
        if since is not None and now - since >= seconds:
            return
        await asyncio.sleep(min(5.0, max(0.1, seconds / 10)))
