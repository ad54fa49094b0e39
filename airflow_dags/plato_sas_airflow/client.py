"""StarProcessing resources over one asynchronous connection: what a batch needs of the Kubernetes API."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from kubernetes_asyncio.client import ApiClient, CustomObjectsApi, V1DeleteOptions, V1Preconditions
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.watch import Watch

from plato_sas.api import GROUP, VERSION, DesiredState
from plato_sas_airflow.adoption import Action, Verdict, adopted, assess
from plato_sas_airflow.backoff import Backoff, is_transient
from plato_sas_airflow.batch import BATCH_LABEL, CLAIM_ANNOTATION, FIELD_MANAGER, Batch, BatchError, Resource
from plato_sas_airflow.progress import finished_state

PLURAL = "starprocessings"
WINDOW = 16
"""So many requests of one batch are under way at a time."""
_ATTEMPTS = 8
_PAGE = 500
# The client takes the content type of a patch as a keyword that its type hints do not name.
_APPLY_PATCH: dict[str, Any] = {"_content_type": "application/apply-patch+yaml"}
_JSON_PATCH: dict[str, Any] = {"_content_type": "application/json-patch+json"}
_CONNECT_SECONDS = 10
_SHOWN = 10

R = TypeVar("R")


class ApplyError(BatchError):
    """Some of the batch's resources cannot be created or adopted; the message names the first ten."""


class StarProcessingClient:
    """Requests of one batch. Transient refusals (429, 5xx, no connection) are tried again some times.

    :param window: how many requests may be under way at once.
    """

    def __init__(self, connection: ApiClient, window: int = WINDOW) -> None:
        self._api = CustomObjectsApi(connection)
        self._window = window

    async def get(self, name: str, namespace: str) -> Resource | None:
        """A resource, or None if there is none of that name."""
        try:
            found: Resource = await _persistently(
                lambda: self._api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    async def get_many(self, names: Iterable[str], namespace: str) -> dict[str, Resource | None]:
        """Name to resource, None where there is none."""
        wanted = list(names)
        found = await self._windowed(wanted, lambda name: self.get(name, namespace))
        return dict(zip(wanted, found, strict=True))

    async def select(self, namespace: str, selector: str) -> tuple[list[Resource], str]:
        """The resources that `selector` matches, page by page, and the resourceVersion to watch from.

        Nothing is tried again here.
        """
        items: list[Resource] = []
        token = ""
        while True:
            page = await self._api.list_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, label_selector=selector, limit=_PAGE, _continue=token
            )
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items, str(page["metadata"]["resourceVersion"])

    async def watch(
        self, namespace: str, selector: str, resource_version: str, seconds: int
    ) -> AsyncGenerator[tuple[str, Resource], None]:
        """Events after `resource_version` as (type, resource), bookmarks included, for `seconds` at the most.

        Raises ApiException with status 410 when the server does not remember so far back.
        """
        async with Watch() as watch:
            events = watch.stream(
                self._api.list_namespaced_custom_object,
                GROUP,
                VERSION,
                namespace,
                PLURAL,
                label_selector=selector,
                resource_version=resource_version,
                allow_watch_bookmarks=True,
                timeout_seconds=seconds,
                # The server ends the stream in time; if it has vanished, the client does.
                _request_timeout=(_CONNECT_SECONDS, seconds + _CONNECT_SECONDS),
            )
            async for event in events:
                if not isinstance(event, dict):  # a proxy's or an overloaded server's plain text
                    raise ApiException(status=503, reason=str(event).strip()[:200])
                yield event["type"], event["raw_object"]

    async def apply_batch(self, batch: Batch) -> Counter[Action]:
        """Create the batch's resources by server-side apply, or adopt or replace those that exist (see `adoption`).

        Every star is looked at before the first is applied. Gives how many were created, adopted and replaced.
        Raises BatchError when a star is not valid, and ApplyError when one cannot be adopted (nothing was applied then)
        or when the server refuses one (the others were applied).
        """
        wanted = batch.resources()
        existing = await self.get_many(wanted, batch.namespace)
        verdicts = [assess(existing[name], body, batch) for name, body in wanted.items()]
        _raise_refused(verdicts)
        outcomes = await self._windowed(
            list(wanted), lambda name: self._create_or_adopt(wanted[name], existing[name], batch)
        )
        _raise_refused(outcomes)
        return Counter(outcome.action for outcome in outcomes)

    async def _create_or_adopt(self, wanted: Resource, found: Resource | None, batch: Batch) -> Verdict:
        """Do what `assess` says, again from the start whenever somebody else has changed the resource meanwhile."""
        name = wanted["metadata"]["name"]
        for _ in range(_ATTEMPTS):
            verdict = assess(found, wanted, batch)
            try:
                if verdict.action is Action.REFUSE:
                    return verdict
                if found is None:
                    await self._apply(wanted, name, batch.namespace)
                elif verdict.action is Action.ADOPT:
                    await self._apply(adopted(found, wanted), name, batch.namespace)
                else:
                    await self._delete(found)
                    await self._apply(wanted, name, batch.namespace)
                return verdict
            except ApiException as error:
                absent = error.status == 404 and found is None  # the namespace, or the kind
                if absent or error.status in (400, 403, 422):
                    return Verdict(Action.REFUSE, f"StarProcessing {name} is refused: {reason_of(error)}")
                if error.status not in (404, 409):
                    raise
            found = await self.get(name, batch.namespace)
        return Verdict(Action.REFUSE, f"StarProcessing {name} is changed by others again and again")

    async def _delete(self, found: Resource) -> None:
        """Delete exactly what was read. Raises ApiException 409 if it is another by now."""
        metadata = found["metadata"]
        preconditions = V1Preconditions(uid=metadata["uid"], resource_version=metadata["resourceVersion"])
        options = V1DeleteOptions(propagation_policy="Background", preconditions=preconditions)
        await _persistently(
            lambda: self._api.delete_namespaced_custom_object(
                GROUP,
                VERSION,
                metadata["namespace"],
                PLURAL,
                metadata["name"],
                body=options,
            )
        )

    async def _apply(self, body: Resource, name: str, namespace: str) -> None:
        await _persistently(
            lambda: self._api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                namespace,
                PLURAL,
                name,
                body,
                field_manager=FIELD_MANAGER,
                force=True,
                **_APPLY_PATCH,
            )
        )

    async def cancel_batch(self, batch: Batch) -> int:
        """Set `desiredState: Cancel` on the batch's stars that have not finished; gives how many that were.

        Only stars whose claim is still this batch's and this try's: what a later try or another batch has adopted in
        the meantime is left alone, however late this comes.
        """
        items, _ = await _persistently(lambda: self.select(batch.namespace, f"{BATCH_LABEL}={batch.id}"))
        names = [item["metadata"]["name"] for item in items if finished_state(item) is None]
        return sum(await self._windowed(names, lambda name: self._cancel(name, batch)))

    async def _cancel(self, name: str, batch: Batch) -> bool:
        pointer = CLAIM_ANNOTATION.replace("~", "~0").replace("/", "~1")
        body = [
            {"op": "test", "path": f"/metadata/annotations/{pointer}", "value": batch.claim},
            {"op": "add", "path": "/spec/desiredState", "value": DesiredState.CANCEL.value},
        ]
        try:
            await _persistently(
                lambda: self._api.patch_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    batch.namespace,
                    PLURAL,
                    name,
                    body,
                    field_manager=FIELD_MANAGER,
                    **_JSON_PATCH,
                )
            )
        except ApiException as error:
            if error.status in (404, 422):  # deleted, or claimed by somebody else
                return False
            raise
        return True

    async def _windowed(self, names: list[str], call: Callable[[str], Awaitable[R]]) -> list[R]:
        """The results of `call` in the order of `names`. The first exception ends the rest."""
        window = asyncio.Semaphore(self._window)

        async def one(name: str) -> R:
            async with window:
                return await call(name)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(name)) for name in names]
        except* Exception as errors:
            raise _first(errors) from None
        return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error


async def _persistently(call: Callable[[], Awaitable[R]]) -> R:
    """The result of `call`, tried again with growing pauses while the server is busy or away."""
    backoff = Backoff()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await call()
        except Exception as error:
            if not is_transient(error) or attempt == _ATTEMPTS:
                raise
            await backoff.wait(error)
    raise AssertionError("unreachable")


def reason_of(error: ApiException) -> str:
    """The API server's own words."""
    try:
        return str(json.loads(error.body or b"")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def _raise_refused(verdicts: list[Verdict]) -> None:
    reasons = [verdict.reason for verdict in verdicts if verdict.action is Action.REFUSE]
    if reasons:
        more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        raise ApplyError("; ".join(reasons[:_SHOWN]) + more)
