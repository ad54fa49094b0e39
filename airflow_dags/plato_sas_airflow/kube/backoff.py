"""When and after which pause a request is retried."""

import asyncio
import random
import ssl

import aiohttp
from kubernetes_asyncio.client.exceptions import ApiException

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0


def is_transient(error: BaseException) -> bool:
    """The server was overloaded or unreachable: it answered 429 or 5xx, or not at all."""
    if isinstance(error, ApiException):
        return error.status == 429 or error.status >= 500
    if isinstance(error, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
        return False
    return isinstance(error, aiohttp.ClientError | TimeoutError | OSError)


class Backoff:
    """Pauses that double from half a second to half a minute, with jitter so that clients do not retry all at once."""

    def __init__(self) -> None:
        self._seconds = _FIRST_SECONDS

    def reset(self) -> None:
        self._seconds = _FIRST_SECONDS

    async def wait(self, error: BaseException | None = None) -> None:
        """Sleep for the pause, or for the server's `Retry-After` if that is longer."""
        pause = self._seconds * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)
        self._seconds = min(self._seconds * 2, _LONGEST_SECONDS)
        await asyncio.sleep(max(pause, min(_retry_after(error), _LONGEST_SECONDS)))


def _retry_after(error: BaseException | None) -> float:
    headers = getattr(error, "headers", None) or {}
    try:
        return float(headers.get("Retry-After", 0))
    except (TypeError, ValueError):
        return 0.0
