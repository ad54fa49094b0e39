"""Everything that was seen of a namespace's Jobs and pods, by uid, also of those that are gone."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp

from e2e.endpoint import Endpoint
from plato_sas.api import Document

_PATHS = {"jobs": "/apis/batch/v1/namespaces/{}/jobs", "pods": "/api/v1/namespaces/{}/pods"}
_PAUSE_SECONDS = 0.3
_TROUBLE = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError)
_LINE_LIMIT = 4 << 20


class Recorder:
    """Lists and watches with the administrator's rights, not through any proxy, and goes on after every error."""

    def __init__(self, upstream: Endpoint, namespace: str) -> None:
        self._upstream = upstream
        self._namespace = namespace
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._seen: dict[str, dict[str, Document]] = {plural: {} for plural in _PATHS}

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            base_url=self._upstream.server,
            connector=aiohttp.TCPConnector(ssl=self._upstream.administrator),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            read_bufsize=_LINE_LIMIT,
        )
        self._tasks = [asyncio.create_task(self._follow(plural)) for plural in _PATHS]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def seen(self, plural: str) -> list[Document]:
        """The last state of each object that ever was, in the order of appearance. For the loop's thread."""
        return list(self._seen[plural].values())

    async def _follow(self, plural: str) -> None:
        while True:
            try:
                version = await self._list(plural)
                async for event in self._events(plural, version):
                    if event["type"] == "ERROR":
                        break
                    self._note(plural, event["object"])
            except _TROUBLE:
                pass  # the API server is being restarted, say; what it has is listed again
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _list(self, plural: str) -> str:
        assert self._session is not None
        path = _PATHS[plural].format(self._namespace)
        async with self._session.get(path, timeout=aiohttp.ClientTimeout(total=20)) as answer:
            document = json.loads(await answer.text())
        for item in document["items"]:
            self._note(plural, item)
        return str(document["metadata"]["resourceVersion"])

    async def _events(self, plural: str, version: str) -> AsyncIterator[Document]:
        assert self._session is not None
        query = {"watch": "true", "resourceVersion": version}
        async with self._session.get(_PATHS[plural].format(self._namespace), params=query) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                yield json.loads(line)

    def _note(self, plural: str, item: Document) -> None:
        self._seen[plural][item["metadata"]["uid"]] = item
