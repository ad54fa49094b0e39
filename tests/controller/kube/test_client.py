"""Requests over real HTTP to an API server that is busy, away, or says no."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from plato_sas.controller.kube import client as module
from plato_sas.controller.kube.client import AlreadyExists, ApiError, KubeClient, NotFound
from plato_sas.controller.kube.resources import JOB, POD

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers in turn from `script` (status, headers), then 200; keeps what was asked."""

    def __init__(self) -> None:
        self.script: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.times: list[float] = []
        self.sent = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.times.append(time.monotonic())
        body = await request.read()
        self.asked.append((request.method, request.path_qs, json.loads(body) if body else None))
        if self.script:
            status, headers = self.script.pop(0)
            return web.json_response({"message": f"says {status}"}, status=status, headers=headers)
        if request.path.endswith("/log"):
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(2000):
                await response.write(b"x" * 65536)
                self.sent += 65536
            return response
        return web.json_response({"metadata": {"name": "n"}, "authorization": request.headers.get("Authorization")})


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[KubeClient, Server]]:
    server = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(application) as running, aiohttp.ClientSession() as session:
        configuration = Configuration(host=f"http://{running.host}:{running.port}")
        configuration.api_key["BearerToken"] = "bearer secret"
        yield KubeClient(session, configuration, "plato", **options), server


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)


async def test_a_request_carries_the_token() -> None:
    async with serving() as (client, server):
        assert (await client.get(JOB, "n"))["authorization"] == "bearer secret"
        assert server.asked == [("GET", "/apis/batch/v1/namespaces/plato/jobs/n", None)]


@pytest.mark.parametrize(
    ("status", "headers", "verb", "tries"),
    [
        (429, {}, "get", 2),
        (429, {"Retry-After": "0"}, "create", 2),  # refused before anything was done
        (503, {"Retry-After": "0"}, "patch", 2),
        (500, {"Retry-After": "0"}, "delete", 2),
        (503, {"Retry-After": "0"}, "create", 1),  # it may have been done
        (503, {}, "get", 1),
        (409, {"Retry-After": "0"}, "patch", 1),
        (403, {}, "get", 1),
    ],
)
async def test_what_is_asked_again(status: int, headers: dict[str, str], verb: str, tries: int) -> None:
    async with serving() as (client, server):
        server.script = [(status, headers)]
        requests: dict[str, Callable[[], Awaitable[Any]]] = {
            "get": lambda: client.get(JOB, "n"),
            "create": lambda: client.create(JOB, {}),
            "patch": lambda: client.patch(JOB, "n", {"spec": {}}),
            "delete": lambda: client.delete(JOB, "n"),
        }
        if tries == 1:
            with pytest.raises(ApiError, match=f"says {status}"):
                await requests[verb]()
        else:
            await requests[verb]()
        assert len(server.asked) == tries
        assert len({str(asked) for asked in server.asked}) == 1


async def test_the_server_says_how_long_to_wait() -> None:
    async with serving() as (client, server):
        server.script = [(429, {"Retry-After": "1"})]
        await client.get(JOB, "n")
        assert server.times[1] - server.times[0] >= 1


async def test_a_server_that_stays_busy_is_left_alone_in_the_end() -> None:
    async with serving() as (client, server):
        server.script = [(429, {})] * 10
        with pytest.raises(ApiError, match="says 429"):
            await client.get(JOB, "n")
        assert len(server.asked) == 4


async def test_without_retries_nothing_is_asked_again() -> None:
    async with serving(retries=0) as (client, server):
        server.script = [(429, {})]
        with pytest.raises(ApiError):
            await client.get(JOB, "n")
        assert len(server.asked) == 1


async def test_errors_are_told_apart() -> None:
    async with serving() as (client, server):
        server.script = [(404, {}), (409, {}), (422, {})]
        with pytest.raises(NotFound, match="says 404"):
            await client.get(JOB, "n")
        with pytest.raises(AlreadyExists, match="says 409"):
            await client.create(JOB, {})
        with pytest.raises(ApiError, match="says 422") as error:
            await client.patch(JOB, "n", {})
        assert error.value.status == 422


async def test_no_server_is_an_error_of_its_own() -> None:
    async with serving() as (client, _):
        client._configuration.host = "http://127.0.0.1:1"
        with pytest.raises(ApiError) as error:
            await client.get(JOB, "n")
        assert error.value.status == 0


async def test_delete_means_one_object_where_a_uid_is_given() -> None:
    async with serving() as (client, server):
        server.script = [(404, {}), (409, {}), (409, {})]
        await client.delete(JOB, "n")
        await client.delete(JOB, "n", uid="u1")  # somebody else's: ours is gone
        with pytest.raises(ApiError, match="says 409"):
            await client.delete(JOB, "n")
        assert server.asked[0][2] == {"propagationPolicy": "Background"}
        assert server.asked[1][2] == {"propagationPolicy": "Background", "preconditions": {"uid": "u1"}}


async def test_behind_a_fence_nothing_is_written_and_all_is_read() -> None:
    def closed() -> None:
        raise ApiError(0, "fenced")

    async with serving() as (client, server):
        client.fence = closed
        await client.get(JOB, "n")
        for request in (
            client.create(JOB, {}),
            client.patch(JOB, "n", {}),
            client.delete(JOB, "n"),
        ):
            with pytest.raises(ApiError, match="fenced"):
                await request
        assert [method for method, _, _ in server.asked] == ["GET"]


async def test_the_fence_is_asked_before_each_try() -> None:
    asked = 0

    def closes() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ApiError(0, "fenced")

    async with serving() as (client, server):
        client.fence = closes
        server.script = [(429, {})]
        with pytest.raises(ApiError, match="fenced"):
            await client.patch(JOB, "n", {})
        assert len(server.asked) == 1


async def test_a_stream_can_be_left_early() -> None:
    async with serving() as (client, server):
        async with aclosing(client.stream(POD, "p", "log", {"container": "c"})) as blocks:
            first = await anext(blocks)
        assert first
        assert server.asked == [("GET", "/api/v1/namespaces/plato/pods/p/log?container=c", None)]
        await asyncio.wait_for(client.get(JOB, "n"), 5)
        assert server.sent < 2000 * 65536


async def test_a_stream_that_is_refused_is_an_error() -> None:
    async with serving() as (client, server):
        server.script = [(404, {}), (500, {"Retry-After": "0"})]
        for status in (404, 500):
            with pytest.raises(ApiError, match=f"says {status}"):
                async with aclosing(client.stream(POD, "p", "log", {})) as blocks:
                    await anext(blocks)
        assert len(server.asked) == 2
