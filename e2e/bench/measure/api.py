"""The API server as a benchmark drives it: many requests at a time, watches, metrics, at little cost of its own."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from e2e.endpoint import COLLECTIONS, endpoint
from plato_sas.api import Document

STARS, PODS, JOBS = (COLLECTIONS[plural] for plural in ("starprocessings", "pods", "jobs"))
_LINE_LIMIT = 2**22
_PAGE = 1000


class ApiFailed(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Requests to one API server."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, path: str, body: Document | None = None, **query: str) -> Document:
        """Raises ApiFailed, aiohttp.ClientError, TimeoutError."""
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        async with self._session.request(method, path, json=body, params=query, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise ApiFailed(answer.status, f"{method} {path}: {text[:500]}")
            found: Document = json.loads(text)
            return found

    async def text(self, path: str) -> str:
        """What is at a path, such as `/metrics`. Raises ApiFailed."""
        async with self._session.get(path) as answer:
            found = await answer.text()
            if answer.status >= 400:
                raise ApiFailed(answer.status, f"GET {path}: {found[:500]}")
            return found

    async def list(self, path: str, **query: str) -> tuple[list[Document], str]:
        """Every object, and the version from which a watch goes on."""
        items: list[Document] = []
        query = {"limit": str(_PAGE), **query}
        while True:
            page = await self.request("GET", path, None, **query)
            items += page["items"]
            if not page["metadata"].get("continue"):
                return items, str(page["metadata"]["resourceVersion"])
            query["continue"] = page["metadata"]["continue"]

    async def watch(self, path: str, version: str, **query: str) -> AsyncGenerator[tuple[str, Document], None]:
        """Type and object of each change since a version, for ever.

        Raises ApiFailed (410) where the version is too old: the caller then lists again.
        """
        while True:
            options = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", **query}
            unlimited = aiohttp.ClientTimeout(total=None, sock_connect=30)
            async with self._session.get(path, params=options, timeout=unlimited) as answer:
                if answer.status >= 400:
                    raise ApiFailed(answer.status, await answer.text())
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiFailed(event["object"].get("code", 0), event["object"].get("message", ""))
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]


@asynccontextmanager
async def connect() -> AsyncIterator[Api]:
    """An API client for the test platform's cluster."""
    upstream = endpoint()
    connector = aiohttp.TCPConnector(ssl=upstream.administrator, limit=64)
    session = aiohttp.ClientSession(
        upstream.server, connector=connector, timeout=aiohttp.ClientTimeout(total=60), read_bufsize=_LINE_LIMIT
    )
    async with session:
        yield Api(session)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
