"""The part of the Kubernetes API that the operator needs; objects are dicts, errors differ by type."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import kopf
from kubernetes.aio import client as aio
from kubernetes.aio import config

from plato_sas.api import Document
from plato_sas.controller import metrics
from plato_sas.controller.kube.resources import Kind

_TIMEOUT = aiohttp.ClientTimeout(total=30.0)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=300.0, sock_connect=10.0, sock_read=30.0)
PAGE = 200  # objects; a page of large pods is 7 MB of JSON, which blocks the event loop for about 0.1 s
_MERGE_PATCH = "application/merge-patch+json"
# Each worker waits for one response at a time; more connections would only queue in the API server.
_CONNECTIONS = 64
_RETRIES = 3
_BLOCK = 1 << 16

_BUSY = 429
_UNAVAILABLE = (500, 502, 503, 504)
# A request may have been carried out although the response is an error: repeating it must be harmless.
_IDEMPOTENT = ("GET", "PATCH", "DELETE")
_FIRST_PAUSE = 0.25  # seconds, doubled each time, unless the server asks for more
_LONGEST_PAUSE = 10.0


class ApiError(Exception):
    """The API server rejected a request, or could not be reached (status 0)."""

    def __init__(self, status: int, message: str, fields: bool = False) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self._fields = fields

    @property
    def invalid(self) -> bool:
        """The object can never be stored like this: the API server names its fields. A policy's 422 names none."""
        return self.status == 422 and self._fields

    @property
    def refused(self) -> bool:
        """The API server judged the object: it is invalid, or forbidden by RBAC, a quota or an admission policy."""
        return self.status in (400, 403, 422)


class NotFound(ApiError):
    """404."""


class AlreadyExists(ApiError):
    """409 on create."""


class KubeClient:
    """Requests within one namespace.

    A request that the API server defers (429, or a 5xx with `Retry-After`) is retried up to `retries` times if it may
    be repeated. `fence` is called before every write; it stops the request by raising ApiError.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        configuration: aio.Configuration,
        namespace: str,
        *,
        retries: int = _RETRIES,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._session = session
        self._configuration = configuration
        self._retries = retries
        self._options = options or {}
        self.namespace = namespace
        self.fence: Callable[[], None] | None = None

    async def credentials(self) -> kopf.ConnectionInfo:
        """kopf's connection to the API server. A pod's token is read again, since it is replaced every hour."""
        configuration = self._configuration
        token = await configuration.get_api_key_with_prefix("BearerToken")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            token=token.split()[-1] if token else None,  # without its prefix, "Bearer" or "bearer"
        )

    async def pages(
        self, kind: Kind, selector: str | None = None, fields: str | None = None
    ) -> AsyncIterator[list[Document]]:
        """All objects of a kind (and label and field selector), one page at a time."""
        query = {"limit": str(PAGE)}
        if fields:
            query["fieldSelector"] = fields
        if selector or kind.selector:
            query["labelSelector"] = selector or kind.selector or ""
        while True:
            page = await self._request("GET", kind.path(self.namespace), query=query)
            yield page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def list(self, kind: Kind, selector: str | None = None, fields: str | None = None) -> list[Document]:
        """All objects of a kind (and label and field selector)."""
        return [item async for page in self.pages(kind, selector, fields) for item in page]

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
        """Apply a JSON merge patch (RFC 7396)."""
        return await self._request("PATCH", kind.path(self.namespace, name, subresource), body, _MERGE_PATCH)

    async def delete(self, kind: Kind, name: str, uid: str | None = None, version: str | None = None) -> None:
        """Delete with background propagation. It is no error if the object is gone, or has another uid or version than
        the given one.
        """
        body: Document = {"propagationPolicy": "Background"}
        meant = {key: value for key, value in (("uid", uid), ("resourceVersion", version)) if value is not None}
        if meant:
            body["preconditions"] = meant
        try:
            await self._request("DELETE", kind.path(self.namespace, name), body)
        except NotFound:
            return
        except ApiError as error:
            if not meant or error.status != 409:
                raise

    async def stream(
        self, kind: Kind, name: str, subresource: str, query: dict[str, str]
    ) -> AsyncGenerator[bytes, None]:
        """A subresource's text (a pod's log) in blocks as they arrive. Close the iterator (`aclosing`) to stop early.

        Raises ApiError, possibly after some blocks. Never retried, since the caller may have used those.
        """
        path = kind.path(self.namespace, name, subresource)
        async with self._send("GET", path, query=query, timeout=_STREAM_TIMEOUT) as response:
            metrics.API_REQUESTS.labels("GET", str(response.status)).inc()
            if response.status >= 400:
                raise _error(response.status, f"GET {path}", await response.read())
            async for block in response.content.iter_chunked(_BLOCK):
                yield block

    async def _request(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Document:
        tried = 0
        while True:
            status, retry_after, content = await self._once(method, path, body, content_type, query)
            if status < 400:
                document: Document = json.loads(content)
                return document
            again = status == _BUSY or (status in _UNAVAILABLE and retry_after and method in _IDEMPOTENT)
            if not again or tried >= self._retries:
                raise _error(status, f"{method} {path}", content)
            await asyncio.sleep(_pause(tried, retry_after))
            tried += 1

    async def _once(
        self, method: str, path: str, body: Document | None, content_type: str, query: dict[str, str] | None
    ) -> tuple[int, str | None, bytes]:
        """Status, `Retry-After` and content of the response. Raises ApiError if there is none."""
        if self.fence is not None and method != "GET":
            self.fence()
        async with self._send(method, path, body, content_type, query, _TIMEOUT) as response:
            content = await response.read()
        metrics.API_REQUESTS.labels(method, str(response.status)).inc()
        return response.status, response.headers.get("Retry-After"), content

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response, to be read inside the context. Raises ApiError with status 0 if it fails or breaks off."""
        try:
            headers = {"Accept": "application/json, */*", "Content-Type": content_type}
            token = await self._configuration.get_api_key_with_prefix("BearerToken")
            if token:
                headers["Authorization"] = token
            async with self._session.request(
                method,
                self._configuration.host + path,
                params=query,
                data=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=timeout,
                **self._options,
            ) as response:
                yield response
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            metrics.API_REQUESTS.labels(method, "error").inc()
            raise ApiError(0, f"{method} {path}: {error or type(error).__name__}") from error


def _pause(tried: int, retry_after: str | None) -> float:
    """Seconds before the next try: at least what the server asks for, up to a limit, with jitter."""
    asked = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0
    return min(_LONGEST_PAUSE, max(asked, _FIRST_PAUSE * 2.0**tried)) * random.uniform(1.0, 1.25)  # noqa: S311


def _error(status: int, request: str, content: bytes) -> ApiError:
    text = content.decode(errors="replace")
    try:
        answer = json.loads(text)
        message = str(answer.get("message", text))
        causes = (answer.get("details") or {}).get("causes") or []
        fields = any("field" in one for one in causes)
    except (ValueError, AttributeError, TypeError):
        message, fields = text, False
    kind = NotFound if status == 404 else ApiError
    return kind(status, f"{request}: {message[:500]}", fields)


@asynccontextmanager
async def connect(namespace: str, *, retries: int = _RETRIES) -> AsyncIterator[KubeClient]:
    """A client with the pod's service account, or with the kubeconfig outside a cluster, and its own connections.

    The library's client reads the credentials and sets up TLS. Requests use its connections through a separate
    session: with the library's `trust_env`, every request would look for proxies and `.netrc` again, which costs more
    than the request itself.
    """
    configuration = aio.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)
    configuration.connection_pool_maxsize = _CONNECTIONS
    api = aio.ApiClient(configuration)
    rest = api.rest_client
    options = {
        "proxy": rest.proxy or _environment_proxy(configuration.host),
        "proxy_headers": rest.proxy_headers,
        "server_hostname": rest.server_hostname,
    }
    session = aiohttp.ClientSession(
        connector=rest.pool_manager.connector, connector_owner=False, cookie_jar=aiohttp.DummyCookieJar()
    )
    try:
        used = {name: value for name, value in options.items() if value}
        yield KubeClient(session, configuration, namespace, retries=retries, options=used)
    finally:
        await session.close()
        await api.close()


def _environment_proxy(server: str) -> str | None:
    """The proxy for the API server according to HTTPS_PROXY and NO_PROXY, looked up once."""
    address = urlsplit(server)
    host = address.hostname or ""
    return None if proxy_bypass(host) else getproxies().get(address.scheme)
