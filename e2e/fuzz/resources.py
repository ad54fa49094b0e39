"""Resources of any form, given to the real API server and operator: each is refused, rejected, or accepted.

A star that is accepted is suspended, so that thousands can be judged without running a module.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

from e2e.endpoint import COLLECTIONS, Endpoint
from e2e.fuzz import hostile, schemas
from e2e.fuzz.tally import Tally
from plato_sas.api import Document

_API = "plato-sas.io/v1alpha1"
PIPELINE = "fuzz"
_REFUSED = (400, 413, 422)
_PLURALS = {
    "StarProcessing": "starprocessings",
    "StarPipeline": "starpipelines",
    "ScienceModule": "sciencemodules",
    "StarCatalogue": "starcatalogues",
}


@dataclass
class Api:
    """The API server, by an account that may do everything."""

    upstream: Endpoint
    namespace: str

    def __post_init__(self) -> None:
        server = urlsplit(self.upstream.server)
        self._connection = http.client.HTTPSConnection(
            server.hostname or "", server.port, timeout=30, context=self.upstream.administrator
        )

    def create(self, kind: str, document: Any) -> tuple[int, Document]:
        return self._ask("POST", self._path(kind), json.dumps(document).encode())

    def items(self, kind: str) -> list[Document]:
        found: list[Document] = self._ask("GET", self._path(kind))[1]["items"]
        return found

    def delete(self, kind: str, name: str) -> None:
        self._ask("DELETE", f"{self._path(kind)}/{quote(name)}")

    def _path(self, kind: str) -> str:
        return COLLECTIONS[_PLURALS[kind]].format(namespace=self.namespace)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Document]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._connection.request(method, f"{path}?fieldValidation=Strict" if method == "POST" else path, body, headers)
        answer = self._connection.getresponse()
        found: Document = json.loads(answer.read())
        return answer.status, found


def resource(kind: str, name: str, luck: Random) -> Document:
    """A resource by its schema, mostly with something wrong."""
    spec = schemas.made(schemas.spec_of(kind), luck)
    if kind == "StarProcessing":
        spec |= {"star": name, "campaign": "fuzz", "pipeline": PIPELINE, "desiredState": "Suspend"}
        spec.pop("ttl", None)
        if luck.random() < 0.5:
            spec["parameters"] = {"one": {luck.choice(("message", "sleep_s", "nope")): luck.choice((1, "a", "3.5"))}}
    spec = hostile.spoiled(spec, luck, luck.choice((0, 1, 1, 2)))
    if kind == "StarProcessing" and isinstance(spec, dict):
        spec["desiredState"] = "Suspend"
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def judge_answer(tally: Tally, kind: str, case: int, document: Document, status: int, answer: Document) -> bool:
    """Whether the object is stored; counts a refusal, which must say what is wrong."""
    if status == 201:
        return True
    causes = (answer.get("details") or {}).get("causes") or []
    text = str(answer.get("message", ""))
    says = any(one.get("field") for one in causes) or "spec" in text or "decod" in text or "json" in text.lower()
    if status not in _REFUSED:
        tally.wrong(kind, case, f"answered with {status}: {text}: {json.dumps(document)}")
    elif not says:
        tally.wrong(kind, case, f"refused without naming a field: {text}: {json.dumps(document)}")
    else:
        tally.count(kind, "refused")
    return False


def verdict(stored: Document) -> str | None:
    """How the operator judged a star or a catalogue; None as long as it has not."""
    conditions = {one["type"]: one for one in stored.get("status", {}).get("conditions", [])}
    stalled = conditions.get("Stalled", {})
    if stalled.get("reason") in ("InternalError", "RequestFailed"):
        return f"{stalled['reason']}: {stalled['message']}"
    accepted = conditions.get("Accepted")
    if accepted is None:
        return None
    if accepted["status"] == "True":
        return "accepted"
    return "rejected" if accepted["message"].startswith(("spec.", "Star", "Science")) else f"?: {accepted['message']}"


@contextmanager
def gone_afterwards(api: Api, kind: str, names: list[str]) -> Iterator[None]:
    """Delete what was stored."""
    try:
        yield
    finally:
        for name in names:
            api.delete(kind, name)
