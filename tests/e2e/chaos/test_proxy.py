"""The proxy passes everything on unchanged, and breaks exactly what it is told to."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from e2e.chaos.proxy import Answer, Cut, Delay, FaultProxy, Strike
from e2e.endpoint import Endpoint

PATH = "/apis/batch/v1/namespaces/plato/jobs"


class Upstream:
    """An API server that keeps what it got, and whose watches tell what is put into `events`."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes, str | None]] = []
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append((request.method, request.raw_path, body, request.headers.get("Authorization")))
        if "watch" not in request.query:
            return web.json_response({"kind": "Job"}, status=201, headers={"Audit-Id": "7"})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(await self.events.get())
        return response


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    server = Upstream()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest_asyncio.fixture
async def proxy(upstream: Upstream) -> AsyncIterator[FaultProxy]:
    context = ssl.create_default_context()
    made = FaultProxy(Endpoint(upstream.url, context, context))
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(proxy.url, headers={"Authorization": "Bearer t"}) as session:
        yield session


async def test_a_request_and_its_answer_are_passed_on(upstream: Upstream, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{PATH}?dryRun=All&labelSelector=a%3Db", data=b'{"x":1}') as answer:
        assert (answer.status, await answer.json(), answer.headers["Audit-Id"]) == (201, {"kind": "Job"}, "7")
    assert upstream.got == [("POST", f"{PATH}?dryRun=All&labelSelector=a%3Db", b'{"x":1}', "Bearer t")]


@pytest.mark.parametrize("forwarded", [False, True])
async def test_an_error_comes_before_or_after_the_request_took_effect(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession, forwarded: bool
) -> None:
    proxy.inject(lambda _: Answer(429, forwarded, {"Retry-After": "1"}))
    async with client.post(PATH, data=b"{}") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert (await answer.json())["reason"] == "TooManyRequests"
    assert len(upstream.got) == int(forwarded)


@pytest.mark.parametrize("forwarded", [False, True])
async def test_a_strike_comes_before_or_after_and_leaves_no_answer(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession, forwarded: bool
) -> None:
    reached: list[int] = []
    proxy.inject(lambda _: Strike(lambda: reached.append(len(upstream.got)), forwarded))
    with pytest.raises(aiohttp.ClientError):
        await client.post(PATH, data=b"{}")
    assert reached == [int(forwarded)]


async def test_a_delay_is_a_delay(upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.inject(lambda _: Delay(0.3))
    began = asyncio.get_running_loop().time()
    async with client.get(PATH) as answer:
        assert answer.status == 201
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_the_first_injector_with_a_fate_decides_until_it_is_cleared(
    proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    for injector in (lambda _: None, lambda _: Answer(500, False), lambda _: Answer(503, False)):
        proxy.inject(injector)
    async with client.get(PATH) as answer:
        assert answer.status == 500
    proxy.clear()
    async with client.get(PATH) as answer:
        assert answer.status == 201


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("spelling", ["true", "True", "1"])
async def test_a_watch_flows_and_ends_as_told(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession, how: Cut, spelling: str
) -> None:
    async with client.get(f"{PATH}?watch={spelling}") as answer:
        upstream.events.put_nowait(b'{"type":"ADDED"}\n{"type":"MODI')  # streams end between two events
        assert await answer.content.readline() == b'{"type":"ADDED"}\n'
        assert proxy.cut(how) == 1
        if how is Cut.ABORTED:
            with pytest.raises(aiohttp.ClientError):
                await answer.content.readline()
        else:
            rest = await answer.content.read()
            assert (json.loads(rest)["object"]["code"] == 410) if how is Cut.GONE else rest == b""
    assert proxy.cut(how) == 0


async def test_an_event_in_two_pieces_arrives_whole(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{PATH}?watch=true") as answer:
        for piece in (b'{"type":"ADDED"}\n{"type":', b'"MODIFIED"}\n'):
            upstream.events.put_nowait(piece)
        assert await answer.content.readline() == b'{"type":"ADDED"}\n'
        assert await answer.content.readline() == b'{"type":"MODIFIED"}\n'


async def test_a_held_watch_is_silent_and_loses_nothing(
    upstream: Upstream, proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{PATH}?watch=true") as answer:
        upstream.events.put_nowait(b"1\n")
        assert await answer.content.readline() == b"1\n"
        assert proxy.hold() == 1
        upstream.events.put_nowait(b"2\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.readline(), 0.3)
        proxy.clear()
        assert await asyncio.wait_for(answer.content.readline(), 5) == b"2\n"


async def test_an_api_server_that_is_down_is_a_broken_connection() -> None:
    context = ssl.create_default_context()
    proxy = FaultProxy(Endpoint("http://127.0.0.1:9", context, context))
    url = await proxy.start()
    try:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"{url}{PATH}")
    finally:
        await proxy.stop()
