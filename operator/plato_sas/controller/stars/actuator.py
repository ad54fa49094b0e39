"""Carries out the decisions about a star. Every action may be repeated without harm."""

import logging
from collections.abc import Iterable

from plato_sas.controller.kube.client import AlreadyExists, ApiError, KubeClient, NotFound
from plato_sas.controller.kube.refusals import refusal
from plato_sas.controller.kube.resources import JOB, POD
from plato_sas.controller.view.view import View
from plato_sas.jobs.builder import build_job
from plato_sas.jobs.pods import pod_finished
from plato_sas.jobs.stage import Run, Site
from plato_sas.plan.refusal import Refusal
from plato_sas.plan.star.decide import Action, StartRun, StopJob
from plato_sas.plan.star.timeouts import LimitPod

logger = logging.getLogger(__name__)


_AT_ONCE = 1  # s; the shortest deadline a pod can have


class Actuator:
    """Turns actions into requests; the responses go straight into the view."""

    def __init__(self, client: KubeClient, view: View, site: Site) -> None:
        self._client = client
        self._view = view
        self._site = site

    async def execute(self, actions: Iterable[Action]) -> list[Refusal]:
        """Carry out the actions except ReleaseJob; returns the Jobs that the API server refused.

        Raises ApiError on any other failure; earlier actions are done, and the next decision will see their effect.
        """
        refusals = []
        for action in actions:
            match action:
                case StartRun(run):
                    try:
                        await self._start(run)
                    except ApiError as error:
                        refusals.append(refusal(next(iter(run.numbers)), error))
                case StopJob(job):
                    await self._stop(job)
                case LimitPod(pod, seconds):
                    await self._limit(pod, seconds)
        return refusals

    async def _start(self, run: Run) -> None:
        body = build_job(run, self._site)
        fields = {
            "processing": run.owner.name,
            "job": run.job,
            "steps": ",".join(run.numbers),
            "kind": type(run).__name__,
        }
        try:
            created = await self._client.create(JOB, body)
            logger.info("Job created", extra=fields)
        except AlreadyExists:
            created = await self._client.get(JOB, run.job)
            logger.info("Job found", extra=fields)
        self._view.put(JOB, created)

    async def _stop(self, job: str) -> None:
        """Stop a Job by its pod's deadline, which keeps the pod for its log; delete it if no pod is on a node."""
        placed = [pod for pod in self._view.pods_of(job) if pod["spec"].get("nodeName") and not pod_finished(pod)]
        if not placed:
            await self._client.delete(JOB, job)
            logger.info("Job stopped", extra={"job": job})
        for pod in placed:
            if pod["spec"].get("activeDeadlineSeconds") != _AT_ONCE:
                await self._limit(pod["metadata"]["name"], _AT_ONCE)

    async def _limit(self, pod: str, seconds: int) -> None:
        try:
            patched = await self._client.patch(POD, pod, {"spec": {"activeDeadlineSeconds": seconds}})
        except NotFound:
            return
        except ApiError as error:
            if not error.refused:
                raise
            # The pod's original deadline still holds; the star's other steps must not wait for this.
            logger.warning("Pod not stopped", extra={"pod": pod, "error": str(error)})
            return
        logger.info("Pod stopped", extra={"pod": pod})
        self._view.put(POD, patched)
