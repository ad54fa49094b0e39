"""StarProcessing resources over one asynchronous connection: single requests to the Kubernetes API."""

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
"""So many requests of one batch are under way at a time."""
PERSISTENCE_SECONDS = 300.0
"""How long to retry while the server is overloaded or unreachable."""
_PAGE = 500
_FEW = 50
_LISTED_PER_GET = 8
"""So many resources of a list take less time than one request for one (12 were measured to take as long)."""
# The client takes the content type of a patch as a keyword that its type hints do not name.
_APPLY_PATCH: dict[str, Any] = {"_content_type": "application/apply-patch+yaml"}
_JSON_PATCH: dict[str, Any] = {"_content_type": "application/json-patch+json"}
_CONNECT_SECONDS = 10

T = TypeVar("T")
R = TypeVar("R")


class StreamUnreadable(Exception):
    """An event of a watch cannot be read; a list still can."""


class StarProcessingClient:
    """Requests of one trigger or task. Transient refusals (429, 5xx, no connection) are waited out for some minutes.

    :param window: how many requests may be under way at once.
    """

    plural = PLURAL
    """Of the resources that the requests are about."""

    def __init__(self, connection: ApiClient, window: int = WINDOW, persistence_seconds: float | None = None) -> None:
        self._api = CustomObjectsApi(connection)
        self._window = window
        self._persistence_seconds = PERSISTENCE_SECONDS if persistence_seconds is None else persistence_seconds

    async def get(self, name: str, namespace: str) -> Resource | None:
        """A resource, or None if there is none of that name."""
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
        """The same from a list of the whole namespace, page by page; None where that would take longer.

        By name and not by label: a resource that somebody has made by hand has none.
        """
        found: dict[str, Resource | None] = dict.fromkeys(wanted)
        token = ""
        while True:
            try:
                page = await self._persistently(partial(self._page, namespace, token=token))
            except ApiException as error:
                if error.status == 410:  # the server does not remember where the list began
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
        """The resources that a label selector and a field selector match, page by page.

        With each page comes the resourceVersion to watch from after the last one.

        Nothing is tried again here.
        """
        token = ""
        while True:
            page = await self._page(namespace, selector, fields, token)
            yield page["items"], str(page["metadata"]["resourceVersion"])
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def select(self, namespace: str, selector: str, keep: Callable[[Resource], T]) -> list[T]:
        """What `keep` returns of every resource that a label selector matches."""

        async def once() -> list[T]:
            return [keep(item) async for page, _ in self.pages(namespace, selector) for item in page]

        return await self._persistently(once)

    async def watch(
        self, namespace: str, selector: str, resource_version: str, seconds: int, fields: str = ""
    ) -> AsyncGenerator[tuple[str, Resource], None]:
        """Events after `resource_version` as (type, resource), bookmarks included, for `seconds` at the most.

        Raises ApiException with status 410 when the server does not remember so far back, and StreamUnreadable.
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
                # The server ends the stream in time; if it has vanished, the client does.
                _request_timeout=(_CONNECT_SECONDS, seconds + _CONNECT_SECONDS),
            )
            try:
                async for event in events:
                    if not isinstance(event, dict):  # a proxy's or an overloaded server's plain text
                        raise ApiException(status=503, reason=str(event).strip()[:200])
                    yield event["type"], event["raw_object"]
            except ValueError as error:  # no JSON, or a line longer than aiohttp takes
                raise StreamUnreadable(str(error)) from error

    async def apply(self, body: Resource) -> None:
        """Create or change a resource by server-side apply. The fields of `body` are then the package's."""
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
        """A JSON patch. Raises ApiException, with status 422 where a test of the patch fails."""
        await self._persistently(
            lambda: self._api.patch_namespaced_custom_object(
                GROUP, VERSION, namespace, self.plural, name, operations, field_manager=FIELD_MANAGER, **_JSON_PATCH
            )
        )

    async def windowed(self, items: Iterable[T], call: Callable[[T], Awaitable[R]]) -> list[R]:
        """The results of `call` in the order of `items`. The first exception ends the rest."""
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
        """The result of `call`, tried again with growing pauses while the server is busy or away."""
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
    """The API server's own words."""
    try:
        return str(json.loads(error.body or b"")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"
