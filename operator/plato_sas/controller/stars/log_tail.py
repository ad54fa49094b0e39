"""The last lines of a failed module whose pod has too many containers to hold them in a termination message."""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace

from plato_sas.api import Document
from plato_sas.controller.kube.client import ApiError, KubeClient, NotFound
from plato_sas.controller.kube.resources import POD
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.names import step_container
from plato_sas.jobs.pods import container_count, newest
from plato_sas.stager.messages import room

_TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024
_REMEMBERED = 1024
_TRIES = 4  # on errors of the API server or the kubelet other than a missing log
_NEARLY = 8  # bytes that may be lost by cutting at a whole character


class LogTail:
    """Reads the end of the log once for each failed Job whose message was cut.

    The kubelet takes a failed container's message from the end of its log, but then keeps only its beginning.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: OrderedDict[str, str] = OrderedDict()
        self._tries: dict[str, int] = {}

    async def complete(self, attempt: Attempt, pods: Iterable[Document]) -> Attempt:
        """The attempt with the failed module's last lines, if the pod's status does not hold them all.

        They may change the failure's class. Raises ApiError if a retry may help.
        """
        failure, pod = attempt.failure, newest(pods)
        if failure is None or failure.step is None or failure.exit_code is None or pod is None:
            return attempt
        if len(failure.message.encode()) < room(container_count(pod)) - _NEARLY:
            return attempt
        if attempt.job not in self._known:
            self._known[attempt.job] = await self._asked(attempt.job, pod["metadata"]["name"], failure.step)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return replace(attempt, failure=failure.worded(self._known[attempt.job] or failure.message))

    async def _asked(self, job: str, pod: str, step: str) -> str:
        """The lines; empty if they cannot be read."""
        tries = self._tries.pop(job, 0) + 1
        try:
            return await self._tail(pod, step)
        except ApiError as error:
            if error.refused or isinstance(error, NotFound) or tries >= _TRIES:
                return ""
            self._tries[job] = tries
            raise

    async def _tail(self, pod: str, step: str) -> str:
        query = {"container": step_container(step), "tailLines": str(_TAIL_LINES), "limitBytes": str(_TAIL_BYTES)}
        async with aclosing(self._client.stream(POD, pod, "log", query)) as blocks:
            text = b"".join([block async for block in blocks])
        return text.decode(errors="replace").strip()
