"""Reading the API server over a kept connection, for tests that look often: each kubectl is a process of its own."""

import http.client
import json
from contextlib import suppress
from functools import cache
from urllib.parse import quote, urlencode, urlsplit

from e2e.endpoint import COLLECTIONS, Endpoint, endpoint
from e2e.processes.command import CommandFailed
from plato_sas.api import Document

_SECONDS = 30


class Reader:
    """Objects by their plural, as the cluster's administrator sees them. Not for more than one thread."""

    def __init__(self, upstream: Endpoint) -> None:
        server = urlsplit(upstream.server)
        self._connection = http.client.HTTPSConnection(
            server.hostname or "", server.port, timeout=_SECONDS, context=upstream.administrator
        )

    def one(self, plural: str, name: str, namespace: str) -> Document:
        """Raises CommandFailed, also if there is none."""
        return self._get(f"{COLLECTIONS[plural].format(namespace=namespace)}/{quote(name)}")

    def items(self, plural: str, namespace: str, selector: str) -> list[Document]:
        """Those with the labels. Raises CommandFailed."""
        query = urlencode({"labelSelector": selector})
        items: list[Document] = self._get(f"{COLLECTIONS[plural].format(namespace=namespace)}?{query}")["items"]
        return items

    def _get(self, path: str) -> Document:
        try:
            status, body = self._ask(path)
        except (OSError, http.client.HTTPException):  # a connection that the server has closed meanwhile
            self._connection.close()
            try:
                status, body = self._ask(path)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                raise CommandFailed(f"GET {path}: {error}") from error
        if status != http.client.OK:
            reason = body.decode(errors="replace")
            with suppress(ValueError, KeyError):
                reason = json.loads(body)["message"]
            raise CommandFailed(f"GET {path}: {status}: {reason}")
        found: Document = json.loads(body)
        return found

    def _ask(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path, headers={"Accept": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@cache
def reader() -> Reader:
    """Of the cluster in use. Raises FileNotFoundError if there is none."""
    return Reader(endpoint())
