"""kopf's part: the watches. Its handlers keep the view and mark keys dirty, nothing else."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from plato_sas.controller.operator import Operator
from plato_sas.controller.resources import WATCHED, Kind


def registry(operator: Operator, credentials: Callable[[], Awaitable[kopf.ConnectionInfo]]) -> kopf.OperatorRegistry:
    """An event handler for every watched kind. kopf asks for `credentials` again when they are refused."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await credentials()

    for kind in WATCHED:
        _register(handlers, operator, kind)
    return handlers


def _register(handlers: kopf.OperatorRegistry, operator: Operator, kind: Kind) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=f"view-{kind.plural}")
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        operator.observe(kind, event["type"], dict(event["object"]))


def settings() -> kopf.OperatorSettings:
    """kopf as a source of events: no finalizers, annotations, events or cluster-wide scans of its own."""
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.posting.enabled = False
    kopf_settings.scanning.disabled = True
    kopf_settings.watching.chunk_size = 500
    for kind in WATCHED:
        if kind.selector is not None:
            kopf_settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.selector
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    return kopf_settings
