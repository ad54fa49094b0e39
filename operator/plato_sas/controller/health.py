"""The kubelet's probes: is the process alive, and is it ready?"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web


class Health:
    """`/healthz` answers 200 while the event loop runs, `/readyz` while there is nothing to wait for."""

    def __init__(self) -> None:
        self._waits_for: str | None = "start"
        self._may_write: Callable[[], bool] = lambda: True

    def needs(self, may_write: Callable[[], bool]) -> None:
        """Set what must hold for the operator to do anything, beside the end of its start."""
        self._may_write = may_write

    def waits_for(self, what: str | None) -> None:
        """Set what the operator waits for; None once it works."""
        self._waits_for = what

    @asynccontextmanager
    async def serve(self, port: int, host: str = "0.0.0.0") -> AsyncIterator[int]:  # noqa: S104 - the kubelet asks
        """Answer while in the context; yields the port, a free one for port 0."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _readyz(self, _: web.Request) -> web.Response:
        waits_for = self._waits_for
        if waits_for is None and not self._may_write():
            waits_for = "the Lease to be renewed: nothing is written until it is"
        if waits_for is None:
            return web.json_response({})
        return web.Response(status=503, text=f"waiting for {waits_for}\n")
