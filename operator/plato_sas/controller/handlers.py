"""kopf supplies the watches. Its handlers only update the view and mark keys dirty."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import kopf

from plato_sas.api import Document
from plato_sas.controller.kube.client import PAGE
from plato_sas.controller.kube.resources import CATALOGUE, WATCHED, Kind
from plato_sas.controller.operator import Operator


def registry(operator: Operator, credentials: Callable[[], Awaitable[kopf.ConnectionInfo]]) -> kopf.OperatorRegistry:
    """One event handler per watched kind. kopf calls `credentials` again when they are rejected."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await credentials()

    for kind in (*WATCHED, CATALOGUE):
        _register(handlers, operator, kind)
    return handlers


def _register(handlers: kopf.OperatorRegistry, operator: Operator, kind: Kind) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=f"view-{kind.plural}")
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        try:
            operator.observe(kind, event["type"], dict(event["object"]))
        finally:
            _empty(cast(Document, event["object"]))


def _empty(body: Document) -> None:
    """Drop what is not read again.

    kopf's wrapper of an object refers to itself, so its content would stay until the next full garbage collection;
    the documents of one second's events would make those long and frequent.
    """
    for key in [key for key in body if key != "metadata"]:
        del body[key]
    body["metadata"].pop("managedFields", None)


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf stores every object to compare it with its next version for change handlers; there are none here."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


class _NoProgress(kopf.ProgressStorage):
    """kopf stores the progress of such handlers in the objects."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def settings() -> kopf.OperatorSettings:
    """kopf as a source of events: no finalizers, annotations, events or cluster-wide scans of its own."""
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.posting.enabled = False
    kopf_settings.scanning.disabled = True
    kopf_settings.watching.chunk_size = PAGE
    # The default copies each object three times per event, which takes 40 % of the operator's time.
    kopf_settings.persistence.diffbase_storage = _NoDiffBase()
    kopf_settings.persistence.progress_storage = _NoProgress()
    # How long kopf's task per object outlives the object's last event and holds it: the first list brings tens of
    # thousands of objects within seconds.
    kopf_settings.queueing.idle_timeout = 0.05
    for kind in WATCHED:
        if kind.selector is not None:
            kopf_settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.selector
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    return kopf_settings
