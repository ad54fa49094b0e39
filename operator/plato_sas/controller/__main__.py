"""The operator's command."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import kopf
from prometheus_client import start_http_server

from plato_sas import __version__
from plato_sas.controller import handlers
from plato_sas.controller.health import Health
from plato_sas.controller.kube.client import KubeClient, connect
from plato_sas.controller.kube.lease import Lease, LeaseLost
from plato_sas.controller.operator import Operator
from plato_sas.controller.settings import SettingInvalid, Settings

logger = logging.getLogger(__name__)

_ALLOCATIONS_PER_COLLECTION = 20_000  # Python's own default is 700


class WatchesEnded(Exception):
    """The operator no longer receives events."""


async def run(settings: Settings) -> None:
    """Wait for the Lease, list everything, work until a signal. Raises LeaseLost, WatchesEnded."""
    stop = asyncio.Event()
    _on_signals(stop)
    health = Health()
    # The Lease has a connection of its own: its renewals must not queue behind other requests.
    async with (
        health.serve(settings.health_port),
        connect(settings.namespace, retries=0) as lease_client,
        connect(settings.namespace) as client,
    ):
        lease = Lease(lease_client, settings.lease, settings.identity)
        client.fence = lease.fence
        health.needs(lease.holds)
        try:
            health.waits_for(f"the Lease {settings.lease}")
            if not await _first(stop.wait(), lease.acquire()):
                await _first(stop.wait(), lease.hold(), _work(client, settings, health, stop))
        finally:
            await lease.release()


def _on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _work(client: KubeClient, settings: Settings, health: Health, stop: asyncio.Event) -> None:
    operator = Operator(client, settings)
    health.waits_for("the first list of all resources")
    await operator.prime()
    # Freeze long-lived objects so that the garbage collector skips them; a full pass takes a second on a busy machine.
    # Collect less often, too: a pod's document alone has hundreds of dicts, most of them freed by reference counting.
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION, *gc.get_threshold()[1:])
    health.waits_for(None)
    logger.info("View complete", extra={"namespace": settings.namespace, "version": __version__})
    started = asyncio.Event()
    watches = kopf.operator(
        registry=handlers.registry(operator, client.credentials),
        settings=handlers.settings(),
        namespaces=[settings.namespace],
        standalone=True,
        ready_flag=started,
    )

    async def signalled() -> None:
        # kopf replaces our signal handlers; its own would wait 5 s for our workers to finish, which they never do.
        await started.wait()
        _on_signals(stop)
        await stop.wait()

    # Until kopf has started it handles signals itself: then the end was requested.
    if await _first(watches, operator.run(), signalled()) and started.is_set() and not stop.is_set():
        # kopf has logged the cause and raises nothing. A new process lists everything again.
        raise WatchesEnded("the watches ended unexpectedly: this process exits")


async def _first(*works: Coroutine[Any, Any, Any]) -> bool:
    """Run all until one returns, then cancel the others and wait for them. Returns whether it was the first.

    Raises what that one raised.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled() and isinstance(error := task.exception(), LeaseLost):
                # Exit at once: the others might still write while they are being cancelled.
                _end_now(error)
            task.result()
        return tasks[0] in done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_now(error: LeaseLost) -> None:
    logger.critical("Lease lost: this process ends", extra={"error": str(error)})
    logging.shutdown()
    os._exit(1)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="plato-sas-operator",
        description="Reconciles StarProcessing resources into Jobs of science modules. Settings come from "
        "PLATO_SAS_* environment variables; see the chart's values for their meaning.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--verbose", action="store_true", help="log debug messages")
    arguments = parser.parse_args()
    kopf.configure(verbose=arguments.verbose, log_format=kopf.LogFormat.JSON)
    try:
        settings = Settings.from_environment()
        settings.check_volume()
    except SettingInvalid as error:
        print(f"plato-sas-operator: {error}", file=sys.stderr)
        return 2
    start_http_server(settings.metrics_port)
    try:
        asyncio.run(run(settings))
    except WatchesEnded as error:
        logger.critical("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
