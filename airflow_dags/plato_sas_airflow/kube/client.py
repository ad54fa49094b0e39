"""Requests to the Kubernetes API for StarProcessing resources, over one asynchronous connection."""

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from kubernetes_asyncio.client import ApiClient, CustomObjectsApi
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.watch import Watch

from plato_sas.api import GROUP, VERSION
from plato_sas_airflow.kube.backoff import Backoff, is_transient
from plato_sas_airflow.kube.resource import Resource

PLURAL = "starprocessings"
FIELD_MANAGER = "plato-sas-airflow"
WINDOW = 16
"""Concurrent requests of one batch."""
PERSISTENCE_SECONDS = 300.0
"""How long to retry while the server is overloaded or unreachable."""
_PAGE = 500
_FEW = 50
_LISTED_PER_GET = 8
"""Listing this many resources is faster than one request for a single one (12 were measured to take as long)."""
# The client accepts the content type of a patch as a keyword that its type hints lack.
_APPLY_PATCH: dict[str, Any] = {"_content_type": "application/apply-patch+yaml"}
_JSON_PATCH: dict[str, Any] = {"_content_type": "application/json-patch+json"}
_CONNECT_SECONDS = 10

T = TypeVar("T")
R = TypeVar("R")


class StreamUnreadable(Exception):
    """An event of a watch cannot be read; listing still works."""


class StarProcessingClient:
    """Requests of one trigger or task. Transient errors (429, 5xx, no connection) are retried for some minutes.

    :param window: maximum number of concurrent requests.
    """

    plural = PLURAL
    """The kind of resource that the requests are about."""

    def __init__(self, connection: ApiClient, window: int = WINDOW, persistence_seconds: float | None = None) -> None:
        self._api = CustomObjectsApi(connection)
        self._window = window
        self._persistence_seconds = PERSISTENCE_SECONDS if persistence_seconds is None else persistence_seconds

    async def get(self, name: str, namespace: str) -> Resource | None:
        """The resource, or None if there is none of that name."""
        try:
            found: Resource = await self._persistently(
                lambda: self._api.get_namespaced_custom_object(GROUP, VERSION, namespace, self.plural, name)
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    async def get_many(self, names: Iterable[str], namespace: str) -> dict[str, Resource | None]:
        """Name to resource, None where there is none."""
        wanted = list(names)
        if len(wanted) > _FEW:
            picked = await self._picked(wanted, namespace)
            if picked is not None:
                return picked
        found = await self.windowed(wanted, lambda name: self.get(name, namespace))
        return dict(zip(wanted, found, strict=True))

    async def _picked(self, wanted: list[str], namespace: str) -> dict[str, Resource | None] | None:
        """The same by listing the whole namespace page by page; None if that would take longer.

        A label selector would miss resources that were created by hand.
        """
        found: dict[str, Resource | None] = dict.fromkeys(wanted)
        token = ""
        while True:
            try:
                page = await self._persistently(partial(self._page, namespace, token=token))
            except ApiException as error:
                if error.status == 410:  # the list's token has expired
                    return None
                raise
            found.update((one["metadata"]["name"], one) for one in page["items"] if one["metadata"]["name"] in found)
            token = page["metadata"].get("continue", "")
            if not token:
                return found
            if page["metadata"].get("remainingItemCount", math.inf) > len(wanted) * _LISTED_PER_GET:
                return None

    async def _page(self, namespace: str, selector: str = "", fields: str = "", token: str = "") -> dict[str, Any]:
        page: dict[str, Any] = await self._api.list_namespaced_custom_object(
            GROUP,
            VERSION,
            namespace,
            self.plural,
            label_selector=selector,
            field_selector=fields,
            limit=_PAGE,
            _continue=token,
        )
        return page

    async def pages(
        self, namespace: str, selector: str, fields: str = ""
    ) -> AsyncGenerator[tuple[list[Resource], str], None]:
        """The resources that match a label selector and a field selector, page by page. Nothing is retried here.

        Each page comes with the resourceVersion from which to watch after the last page.
        """
        token = ""
        while True:
            page = await self._page(namespace, selector, fields, token)
            yield page["items"], str(page["metadata"]["resourceVersion"])
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def select(self, namespace: str, selector: str, keep: Callable[[Resource], T]) -> list[T]:
        """What `keep` returns for every resource that matches a label selector."""

        async def once() -> list[T]:
            return [keep(item) async for page, _ in self.pages(namespace, selector) for item in page]

        return await self._persistently(once)

    async def watch(
        self, namespace: str, selector: str, resource_version: str, seconds: int, fields: str = ""
    ) -> AsyncGenerator[tuple[str, Resource], None]:
        """Events after `resource_version` as (type, resource), bookmarks included, for at most `seconds`.

        Raises ApiException, with status 410 if `resource_version` is too old for the server, and StreamUnreadable.
        """
        async with Watch() as watch:
            events = watch.stream(
                self._api.list_namespaced_custom_object,
                GROUP,
                VERSION,
                namespace,
                self.plural,
                label_selector=selector,
                field_selector=fields,
                resource_version=resource_version,
                allow_watch_bookmarks=True,
                timeout_seconds=seconds,
                # Normally the server ends the stream; the client's timeout is for a server that has vanished.
                _request_timeout=(_CONNECT_SECONDS, seconds + _CONNECT_SECONDS),
            )
            try:
                async for event in events:
                    if not isinstance(event, dict):  # a proxy's or an overloaded server's plain text
                        raise ApiException(status=503, reason=str(event).strip()[:200])
                    yield event["type"], event["raw_object"]
            except ValueError as error:  # not JSON, or a line too long for aiohttp
                raise StreamUnreadable(str(error)) from error

    async def apply(self, body: Resource) -> None:
        """Create or change a resource by server-side apply; this package then owns the fields of `body`."""
        metadata = body["metadata"]
        await self._persistently(
            lambda: self._api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                metadata["namespace"],
                self.plural,
                metadata["name"],
                body,
                field_manager=FIELD_MANAGER,
                force=True,
                **_APPLY_PATCH,
            )
        )

    async def patch(self, name: str, namespace: str, operations: list[dict[str, Any]]) -> None:
        """Apply a JSON patch. Raises ApiException, with status 422 if a test of the patch fails."""
        await self._persistently(
            lambda: self._api.patch_namespaced_custom_object(
                GROUP, VERSION, namespace, self.plural, name, operations, field_manager=FIELD_MANAGER, **_JSON_PATCH
            )
        )

    async def windowed(self, items: Iterable[T], call: Callable[[T], Awaitable[R]]) -> list[R]:
        """The results of `call` in the order of `items`. The first exception cancels the other calls."""
        waiting = iter(list(items))
        results: dict[int, R] = {}
        numbered = enumerate(waiting)

        async def work() -> None:
            for number, item in numbered:
                results[number] = await call(item)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._window):
                    group.create_task(work())
        except* Exception as errors:
            raise _first(errors) from None
        return [results[number] for number in sorted(results)]

    async def _persistently(self, call: Callable[[], Awaitable[R]]) -> R:
        """The result of `call`, retried with growing pauses while the server is overloaded or unreachable."""
        backoff, began = Backoff(), time.monotonic()
        while True:
            try:
                return await call()
            except Exception as error:
                if not is_transient(error) or time.monotonic() - began > self._persistence_seconds:
                    raise
                await backoff.wait(error)


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error


def reason_of(error: ApiException) -> str:
    """The API server's message."""
    try:
        return str(json.loads(error.body or b"")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"
