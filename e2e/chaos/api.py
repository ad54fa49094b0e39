"""The suite's own view of the API server: as the administrator, past the proxies; it may be unreachable."""

import json
import urllib.error
import urllib.request
from typing import Any

from e2e.endpoint import COLLECTIONS, Endpoint
from plato_sas.api import Document

_SECONDS = 10
_NODES = "/api/v1/nodes"


class ApiAway(Exception):
    """The API server did not answer, or answered with an error."""


class Api:
    """Objects of one namespace, and nodes."""

    def __init__(self, upstream: Endpoint, namespace: str) -> None:
        self._server = upstream.server
        self._namespace = namespace
        # This machine's own address: a proxy in the user's environment must not be used.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=upstream.administrator)
        )

    def items(self, plural: str) -> list[Document]:
        """Raises ApiAway."""
        items: list[Document] = self._request("GET", self._path(plural))["items"]
        return items

    def delete(self, plural: str, name: str, *, grace_seconds: int | None = None) -> bool:
        """Delete in the background; False if there was none. Raises ApiAway."""
        return self._delete(f"{self._path(plural)}/{name}", grace_seconds)

    def delete_node(self, name: str) -> bool:
        return self._delete(f"{_NODES}/{name}", None)

    def nodes(self) -> list[str]:
        return [item["metadata"]["name"] for item in self._request("GET", _NODES)["items"]]

    def _path(self, plural: str) -> str:
        return COLLECTIONS[plural].format(namespace=self._namespace)

    def _delete(self, path: str, grace_seconds: int | None) -> bool:
        body: Document = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        try:
            self._request("DELETE", path, body)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise ApiAway(str(error)) from error
        return True

    def _request(self, method: str, path: str, body: Document | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(  # noqa: S310 - the scheme is the kubeconfig's
            f"{self._server}{path}", data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "DELETE":
                raise
            raise ApiAway(f"{method} {path}: {error}") from error
        except (OSError, ValueError) as error:
            raise ApiAway(f"{method} {path}: {error}") from error
