"""The Kubernetes API, as far as the operator needs it: objects are dicts, errors are told apart by type."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import kopf
from kubernetes.aio import client as aio
from kubernetes.aio import config

from plato_sas.controller import metrics
from plato_sas.controller.resources import Kind

Document = dict[str, Any]

_TIMEOUT = 30.0
_PAGE = 500
_MERGE_PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused a request, or could not be reached (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class NotFound(ApiError):
    """404."""


class AlreadyExists(ApiError):
    """409 on create."""


class KubeClient:
    """Requests within one namespace."""

    def __init__(self, api: aio.ApiClient, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    async def credentials(self) -> kopf.ConnectionInfo:
        """How to reach the API server, for kopf: a pod's token is read anew, since it is replaced every hour."""
        configuration = self._api.configuration
        token = await configuration.get_api_key_with_prefix("BearerToken")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            token=token.split()[-1] if token else None,  # without its prefix, "Bearer" or "bearer"
        )

    async def list(self, kind: Kind, selector: str | None = None) -> list[Document]:
        """Every object of a kind (and label selector), in pages."""
        items: list[Document] = []
        query = {"limit": str(_PAGE)}
        if selector or kind.selector:
            query["labelSelector"] = selector or kind.selector or ""
        while True:
            page = await self._request("GET", kind.path(self.namespace), query=query)
            items += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return items
            query["continue"] = token

    async def get(self, kind: Kind, name: str) -> Document:
        return await self._request("GET", kind.path(self.namespace, name))

    async def create(self, kind: Kind, body: Document) -> Document:
        try:
            return await self._request("POST", kind.path(self.namespace), body)
        except ApiError as error:
            if error.status == 409:
                raise AlreadyExists(409, str(error)) from None
            raise

    async def patch(self, kind: Kind, name: str, body: Document, subresource: str | None = None) -> Document:
        """A JSON merge patch."""
        return await self._request("PATCH", kind.path(self.namespace, name, subresource), body, _MERGE_PATCH)

    async def delete(self, kind: Kind, name: str) -> None:
        """Delete with background propagation; to find nothing is fine."""
        body = {"propagationPolicy": "Background"}
        try:
            await self._request("DELETE", kind.path(self.namespace, name), body)
        except NotFound:
            return

    async def _request(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Document:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            response = await self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            )
            text = await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            metrics.API_REQUESTS.labels(method, "error").inc()
            raise ApiError(0, f"{method} {path}: {error or type(error).__name__}") from error
        metrics.API_REQUESTS.labels(method, str(response.status)).inc()
        if response.status >= 400:
            raise _error(response.status, f"{method} {path}", text)
        document: Document = json.loads(text)
        return document


def _error(status: int, request: str, text: str) -> ApiError:
    try:
        message = str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        message = text
    kind = NotFound if status == 404 else ApiError
    return kind(status, f"{request}: {message[:500]}")


@asynccontextmanager
async def connect(namespace: str) -> AsyncIterator[KubeClient]:
    """A client with the pod's service account, or with the kubeconfig outside a cluster."""
    configuration = aio.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)
    api = aio.ApiClient(configuration)
    try:
        yield KubeClient(api, namespace)
    finally:
        await api.close()
