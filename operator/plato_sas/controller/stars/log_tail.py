"""The last lines of a failed module, where its pod has too many containers for a termination message to hold them."""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace

from plato_sas.controller.kube.client import ApiError, KubeClient, NotFound
from plato_sas.controller.kube.resources import POD
from plato_sas.document import Document
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.names import step_container
from plato_sas.jobs.pods import container_statuses, newest
from plato_sas.stager.messages import room

_TAIL_LINES = 20
_TAIL_BYTES = 16 * 1024
_REMEMBERED = 1024
_TRIES = 4  # while the API server, or the kubelet behind it, has other trouble than that there is no log
_NEARLY = 8  # bytes that cutting at a whole character may cost


class LogTail:
    """Asks for the end of a log once for each failed Job whose message was cut.

    The kubelet takes a failed container's message from the end of its log, and then keeps the beginning of that.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: OrderedDict[str, str] = OrderedDict()
        self._tries: dict[str, int] = {}

    async def complete(self, attempt: Attempt, pods: Iterable[Document]) -> Attempt:
        """The attempt with the failed module's last lines, if there is more of them than the pod's status holds.

        They also decide whose failure it was. Raises ApiError where asking again soon may give them.
        """
        failure, pod = attempt.failure, newest(pods)
        if failure is None or failure.step is None or failure.exit_code is None or pod is None:
            return attempt
        if len(failure.message.encode()) < room(len(container_statuses(pod))) - _NEARLY:
            return attempt
        if attempt.job not in self._known:
            self._known[attempt.job] = await self._asked(attempt.job, pod["metadata"]["name"], failure.step)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return replace(attempt, failure=failure.worded(self._known[attempt.job] or failure.message))

    async def _asked(self, job: str, pod: str, step: str) -> str:
        """The lines; empty if they cannot be had, and what there is must do."""
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
