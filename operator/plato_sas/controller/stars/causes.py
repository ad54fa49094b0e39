"""Why a Job has no pod, or a pod does not begin its next container: only Events say so."""

import time
from collections.abc import Callable
from dataclasses import replace

from plato_sas.controller.kube.client import ApiError, KubeClient
from plato_sas.controller.kube.resources import EVENT
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.failure import NOT_STARTED
from plato_sas.plan.overdue import overdue
from plato_sas.text import printable

# To select Events by object the API server reads all of the namespace's: seldom, however many stars are held up.
_REST_SECONDS = 0.5


class Causes:
    """Completes attempts with the latest warning about their Job or pod. `clock` returns the time in RFC 3339."""

    def __init__(self, client: KubeClient, clock: Callable[[], str], rest: float = _REST_SECONDS) -> None:
        self._client = client
        self._clock = clock
        self._rest = rest
        self._next = 0.0

    async def complete(self, attempt: Attempt) -> Attempt:
        """The attempt with the cause of what is overdue, or of a pod that was stopped before it began."""
        late = overdue(attempt, self._clock())
        if late is not None:
            cause = await self._warning(attempt.pod or attempt.job)
            return replace(attempt, waiting=(late[0], cause or late[1]))
        failure = attempt.failure
        if failure is not None and failure.reason == NOT_STARTED and attempt.pod is not None:
            cause = await self._warning(attempt.pod)
            if cause is not None:
                return replace(attempt, failure=replace(failure, message=f"{failure.message}: {cause}"))
        return attempt

    async def _warning(self, name: str) -> str | None:
        """Reason and message of the latest warning about a Job or pod; best effort."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + self._rest
        try:
            found = await self._client.list(EVENT, fields=f"involvedObject.name={name},type=Warning")
        except ApiError:
            return None
        if not found:
            return None
        last = max(found, key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
        return printable(f"{last.get('reason', 'Unknown')}: {last.get('message', '')}")
