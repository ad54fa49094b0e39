"""The operator's command."""

import argparse
import asyncio
import logging
import sys

import kopf
from prometheus_client import start_http_server

from plato_sas import __version__
from plato_sas.controller import handlers
from plato_sas.controller.client import connect
from plato_sas.controller.operator import Operator
from plato_sas.controller.settings import SettingInvalid, Settings

logger = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Run until a signal; kopf installs the signal handlers."""
    async with connect(settings.namespace) as client:
        operator = Operator(client, settings)
        await operator.prime()
        logger.info("View complete", extra={"namespace": settings.namespace, "version": __version__})
        worker = asyncio.create_task(operator.run())
        watches = asyncio.create_task(
            kopf.operator(
                registry=handlers.registry(operator, client.credentials),
                settings=handlers.settings(),
                namespaces=[settings.namespace],
                standalone=True,
                liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
            )
        )
        done, pending = await asyncio.wait({worker, watches}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()


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
    # A probe every few seconds is not worth a line each.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment()
    except SettingInvalid as error:
        print(f"plato-sas-operator: {error}", file=sys.stderr)
        return 2
    start_http_server(settings.metrics_port)
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
