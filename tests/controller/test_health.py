"""What the probes are answered."""

import aiohttp

from plato_sas.controller.health import Health


async def test_alive_at_once_and_ready_when_nothing_is_waited_for() -> None:
    health = Health()
    async with health.serve(0, "127.0.0.1") as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def ask(path: str) -> tuple[int, str]:
            async with session.get(path) as response:
                return response.status, (await response.text()).strip()

        health.waits_for("the Lease plato-sas-operator")
        assert await ask("/healthz") == (200, "{}")
        assert await ask("/readyz") == (503, "waiting for the Lease plato-sas-operator")
        health.waits_for(None)
        assert await ask("/readyz") == (200, "{}")
        renewed = False
        health.needs(lambda: renewed)
        told = "waiting for the Lease to be renewed: nothing is written until it is"
        assert await ask("/readyz") == (503, told)
        assert await ask("/healthz") == (200, "{}")
        renewed = True
        assert await ask("/readyz") == (200, "{}")
        assert (await ask("/metrics"))[0] == 404
