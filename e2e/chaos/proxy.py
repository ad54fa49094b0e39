"""A reverse proxy in front of the API server that breaks requests and watches on demand.

It speaks plain HTTP on loopback to one operator, and passes its token on. Each request is shown to the injectors in
turn; the first that names a fate decides. Watch streams are copied as they come, and can be cut, ended or held.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy
from yarl import URL

from e2e.chaos.requests import Request
from e2e.endpoint import Endpoint

_HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "upgrade"})
_UPSTREAM_GONE = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True)
class Answer:
    """An error in place of the API server's answer: `forwarded` says whether the request took effect."""

    status: int
    forwarded: bool
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delay:
    """Passed on after a while."""

    seconds: float


@dataclass(frozen=True)
class Strike:
    """`call` is called before the request is passed on, or after it was answered; the client gets no answer."""

    call: Callable[[], None]
    forwarded: bool


Fate = Answer | Delay | Strike
Injector = Callable[[Request], Fate | None]


class Cut(StrEnum):
    """How a watch stream ends."""

    ABORTED = "aborted"  # the connection is reset
    ENDED = "ended"  # as the API server ends one after some minutes
    GONE = "gone"  # 410: the resource version is too old


class FaultProxy:
    """All methods but the constructor belong to the loop's thread."""

    def __init__(self, upstream: Endpoint) -> None:
        self._upstream = upstream
        self._injectors: list[Injector] = []
        self._streams: dict[asyncio.Task[None], Cut | None] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0
        self.url = ""

    async def start(self) -> str:
        """The address to use in place of the API server's."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._upstream.authority, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
        )
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        # A client's watches end with its connection.
        self._runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self.url

    async def stop(self) -> None:
        for stream in list(self._streams):
            stream.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def inject(self, injector: Injector) -> None:
        """Show every further request to the injector, after those that are there."""
        self._injectors.append(injector)

    def clear(self) -> None:
        """No injector, and streams flow."""
        self._injectors.clear()
        self._flowing.set()

    def cut(self, how: Cut) -> int:
        """End every watch stream that is open now; returns their number."""
        streams = [stream for stream, ending in self._streams.items() if ending is None]
        for stream in streams:
            self._streams[stream] = how
            stream.cancel()
        return len(streams)

    def hold(self) -> int:
        """Let no event of a watch through until `clear`; the connections stay open. Returns their number."""
        self._flowing.clear()
        return len(self._streams)

    async def _handle(self, received: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await received.read()
        request = Request(received.method, received.path, _is_watch(received), body)
        fate = next((fate for injector in self._injectors if (fate := injector(request)) is not None), None)
        match fate:
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Answer(status, forwarded, headers):
                if forwarded:
                    await self._forward_whole(received, body)
                return web.json_response(_refusal(status), status=status, headers=headers)
            case Strike(call, forwarded):
                if forwarded:
                    await self._forward_whole(received, body)
                call()
                _reset(received)
                return web.Response(status=500)
        try:
            return await (self._watch(received) if request.watch else self._forward_whole(received, body))
        except _UPSTREAM_GONE:
            # What a client sees of an API server that is down: the connection breaks.
            _reset(received)
            return web.Response(status=502)

    async def _forward_whole(self, received: web.Request, body: bytes) -> web.Response:
        async with self._request(received, body) as answer:
            return web.Response(status=answer.status, headers=_end_to_end(answer.headers), body=await answer.read())

    def _request(self, received: web.Request, body: bytes) -> "aiohttp.client._RequestContextManager":
        assert self._session is not None
        headers = _end_to_end(received.headers)
        url = URL(f"{self._upstream.server}{received.raw_path}", encoded=True)
        return self._session.request(received.method, url, headers=headers, data=body or None)

    async def _watch(self, received: web.Request) -> web.StreamResponse:
        async with self._request(received, b"") as answer:
            if answer.status != 200:
                return web.Response(status=answer.status, headers=_end_to_end(answer.headers), body=await answer.read())
            response = web.StreamResponse(status=200, headers=_end_to_end(answer.headers))
            response.enable_chunked_encoding()
            await response.prepare(received)
            copying = asyncio.create_task(self._copy(answer, response))
            self._streams[copying] = None
            try:
                await copying
            except asyncio.CancelledError:
                ending = self._streams[copying]
                if ending is None:
                    copying.cancel()
                    raise
                await _end_stream(received, response, ending)
            finally:
                del self._streams[copying]
            return response

    async def _copy(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        """Whole events: the API server, too, ends a stream between two of them."""
        rest = b""
        async for chunk in answer.content.iter_any():
            await self._flowing.wait()
            events, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                await response.write(events + newline)


def _is_watch(received: web.Request) -> bool:
    """The API server accepts every spelling of `true` that clients use."""
    return received.query.get("watch", "").lower() in ("true", "1")


async def _end_stream(received: web.Request, response: web.StreamResponse, how: Cut) -> None:
    if how is Cut.ABORTED:
        _reset(received)
        return
    with suppress(ConnectionError):
        if how is Cut.GONE:
            await response.write(json.dumps({"type": "ERROR", "object": _refusal(410)}).encode() + b"\n")
        await response.write_eof()


def _reset(received: web.Request) -> None:
    if received.transport is not None:
        received.transport.abort()


def _end_to_end(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_HEADERS}


def _refusal(status: int) -> dict[str, object]:
    """A Status document, as the API server answers errors."""
    reasons = {410: "Expired", 429: "TooManyRequests", 503: "ServiceUnavailable", 504: "Timeout"}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "injected by the chaos suite",
        "reason": reasons.get(status, "InternalError"),
        "code": status,
    }
