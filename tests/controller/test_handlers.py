"""What comes by a watch: the operator hears all of it, and kopf keeps none of it."""

import asyncio
from copy import deepcopy
from typing import Any

import kopf
import pytest

from plato_sas.controller import handlers
from plato_sas.controller.kube.resources import CATALOGUE, WATCHED, Kind


class Listener:
    """Stands where the operator does."""

    def __init__(self) -> None:
        self.heard: list[tuple[Kind, str | None, dict[str, Any]]] = []

    def observe(self, kind: Kind, event_type: str | None, item: dict[str, Any]) -> None:
        self.heard.append((kind, event_type, item))


def told(kind: Kind, event: dict[str, Any], body: kopf.Body) -> list[tuple[Kind, str | None, dict[str, Any]]]:
    """What is heard of an event, as kopf hands it on with its own wrapper of the object."""
    listener: Any = Listener()

    async def credentials() -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server="https://localhost")

    registry = handlers.registry(listener, credentials)
    (handler,) = [one for one in registry._watching.get_all_handlers() if one.id == f"view-{kind.plural}"]
    observe: Any = handler.fn
    asyncio.run(observe(event=event, body=body))
    return listener.heard


@pytest.mark.parametrize("kind", [*WATCHED, CATALOGUE], ids=lambda kind: kind.name)
def test_an_event_is_heard_whole_and_leaves_nothing_but_its_objects_identity(kind: Kind) -> None:
    identity = {"name": "one", "uid": "u1", "resourceVersion": "7", "labels": {"a": "b"}}
    thing = {"metadata": identity | {"managedFields": [{"manager": "m"}]}, "spec": {"a": [1]}, "status": {"b": {}}}
    event = {"type": "MODIFIED", "object": deepcopy(thing)}
    body = kopf.Body(event["object"])
    ((heard_kind, heard_type, heard),) = told(kind, event, body)
    assert (heard_kind, heard_type) == (kind, "MODIFIED")
    assert (heard["spec"], heard["status"]) == (thing["spec"], thing["status"])
    assert identity.items() <= heard["metadata"].items()
    assert event["object"] == dict(body) == {"metadata": identity}
