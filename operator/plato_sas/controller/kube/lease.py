"""Leader election: of several operators in a namespace, only the holder of the Lease writes.

By the rules of client-go: a Lease is free if its holder has released it, or if the observer has not seen it renewed for
its duration *on the observer's own monotonic clock*; clocks of two machines are never compared. The resourceVersion
decides who was first.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from plato_sas.api import Document
from plato_sas.controller import metrics
from plato_sas.controller.kube.client import AlreadyExists, ApiError, KubeClient, NotFound
from plato_sas.controller.kube.resources import Kind

logger = logging.getLogger(__name__)

LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")

DURATION = 15.0  # seconds after which others may take a Lease that was not renewed
RENEWAL = 5.0  # seconds between renewals
_POLL = 2.0  # seconds between looks at a Lease held by another, and between tries after a failure


class LeaseLost(Exception):
    """Somebody else holds the Lease."""


class Lease:
    """One Lease, wanted by `identity`. `acquire`, then `hold` in the background, then `release`."""

    def __init__(
        self,
        client: KubeClient,
        name: str,
        identity: str,
        *,
        duration: float = DURATION,
        renewal: float = RENEWAL,
        poll: float = _POLL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._name = name
        self._identity = identity
        self._duration = duration
        self._renewal = renewal
        self._poll = poll
        self._clock = clock
        self._version: str | None = None  # of the Lease as we last wrote it
        self._renewed = float("-inf")  # when the request of our last successful renewal began
        self._seen: tuple[str, str] | None = None  # another's holder and renewTime
        self._seen_at = 0.0

    def holds(self) -> bool:
        """Whether the Lease is surely ours: a third of its duration is kept as a margin for requests under way."""
        return self._version is not None and self._clock() - self._renewed < self._duration * 2 / 3

    def fence(self) -> None:
        """For KubeClient: stop every write unless the Lease is surely ours. Raises ApiError."""
        if not self.holds():
            raise ApiError(0, f"Lease {self._name!r} has not been renewed in time: nothing is written until it is")

    async def acquire(self) -> None:
        """Wait until the Lease is ours, without limit."""
        reported: str | None = None
        while True:
            try:
                async with asyncio.timeout(self._renewal):
                    holder = await self._try()
            except (ApiError, TimeoutError) as error:
                logger.warning("Lease could not be read or taken", extra={"lease": self._name, "error": repr(error)})
            else:
                if holder is None:
                    metrics.LEADER.set(1)
                    logger.info("Lease taken", extra={"lease": self._name, "identity": self._identity})
                    return
                if holder != reported:
                    logger.warning(
                        "Another operator serves this namespace: waiting for its Lease to expire",
                        extra={"lease": self._name, "holder": holder, "identity": self._identity},
                    )
                    reported = holder
            await asyncio.sleep(self._poll * random.uniform(1.0, 1.2))  # noqa: S311

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeaseLost.

        An unreachable API server does not lose the Lease, since nobody else can take it either; meanwhile `fence` stops
        all writes.
        """
        pause = self._renewal
        while True:
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(self._renewal):
                    await self._renew()
                pause = self._renewal
            except (ApiError, TimeoutError) as error:
                pause = self._poll
                fields = {"lease": self._name, "error": repr(error), "may_write": self.holds()}
                logger.warning("Lease not renewed", extra=fields)
            metrics.LEADER.set(1 if self.holds() else 0)

    async def release(self) -> None:
        """Release the Lease, so that the next operator need not wait; best effort."""
        if self._version is None:
            return
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        body = {"metadata": {"resourceVersion": self._version}, "spec": spec}
        self._version = None
        metrics.LEADER.set(0)
        try:
            async with asyncio.timeout(self._poll):
                await self._client.patch(LEASE, self._name, body)
        except (ApiError, TimeoutError) as error:
            logger.warning("Lease not released", extra={"lease": self._name, "error": str(error)})

    async def _try(self) -> str | None:
        """Take the Lease if it is free; else return its holder. Raises ApiError."""
        started = self._clock()
        try:
            lease = await self._client.get(LEASE, self._name)
        except NotFound:
            return await self._create(started)
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        seen = (holder, str(spec.get("renewTime")))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        if holder not in ("", self._identity) and self._clock() - self._seen_at <= self._duration:
            return str(holder)
        return await self._take(lease, started)

    async def _create(self, started: float) -> str | None:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": self._spec(_now(), 0),
        }
        try:
            created = await self._client.create(LEASE, body)
        except AlreadyExists:
            return "another, which was quicker"
        self._ours(created, started)
        return None

    async def _take(self, lease: Document, started: float) -> str | None:
        spec = lease.get("spec") or {}
        mine = spec.get("holderIdentity") == self._identity
        since = spec.get("acquireTime") if mine else None
        transitions = int(spec.get("leaseTransitions") or 0) + (0 if mine else 1)
        body = {
            "metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]},
            "spec": self._spec(since or _now(), transitions),
        }
        try:
            taken = await self._client.patch(LEASE, self._name, body)
        except NotFound:
            return "nobody, since it was deleted just now"
        except ApiError as error:
            if error.status == 409:
                return "another, which was quicker"
            raise
        self._ours(taken, started)
        return None

    async def _renew(self) -> None:
        """Raises ApiError, LeaseLost."""
        started = self._clock()
        body = {"metadata": {"resourceVersion": self._version}, "spec": {"renewTime": _now()}}
        try:
            self._ours(await self._client.patch(LEASE, self._name, body), started)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            # Somebody changed or deleted it: only the holder's name tells whether it is still ours.
            await self._recover(started)

    async def _recover(self, started: float) -> None:
        try:
            lease = await self._client.get(LEASE, self._name)
        except NotFound:
            holder = await self._create(started)
        else:
            holder = (lease.get("spec") or {}).get("holderIdentity") or "nobody"
            if holder == self._identity:
                if (quicker := await self._take(lease, started)) is not None:
                    raise ApiError(409, f"Lease {self._name!r} was written to by {quicker}")
                return
        if holder is not None:
            self._version = None
            metrics.LEADER.set(0)
            raise LeaseLost(f"Lease {self._name!r} is held by {holder}")

    def _ours(self, lease: Document, started: float) -> None:
        self._version = lease["metadata"]["resourceVersion"]
        self._renewed = started

    def _spec(self, acquired: str, transitions: int) -> Document:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "acquireTime": acquired,
            "renewTime": _now(),
            "leaseTransitions": transitions,
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
