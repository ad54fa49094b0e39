"""Carries out what was decided. Every action may be done twice without harm."""

import logging
from collections.abc import Iterable

from plato_sas.controller.client import AlreadyExists, ApiError, KubeClient, NotFound
from plato_sas.controller.resources import JOB
from plato_sas.controller.view import View
from plato_sas.jobs.builder import build_job
from plato_sas.jobs.stage import Site
from plato_sas.plan.decide import Action, ReleaseJob, StartStage, StopJob
from plato_sas.plan.refusal import Refusal

logger = logging.getLogger(__name__)


# The Job itself is wrong; or it may not be now (a quota, a policy, a right).
_INVALID = (400, 422)
_FORBIDDEN = (403,)


class Actuator:
    """Turns actions into requests; what the API server answers goes into the view at once."""

    def __init__(self, client: KubeClient, view: View, site: Site, job_ttl: int) -> None:
        self._client = client
        self._view = view
        self._site = site
        self._job_ttl = job_ttl

    async def execute(self, actions: Iterable[Action]) -> list[Refusal]:
        """Carry them out; gives the Jobs that the API server refused.

        Raises ApiError where it did not judge: the actions before are done, and deciding again will find them so.
        """
        refusals = []
        for action in actions:
            match action:
                case StartStage():
                    try:
                        await self._start(action)
                    except ApiError as error:
                        if error.status not in (*_INVALID, *_FORBIDDEN):
                            raise
                        refusals.append(Refusal(action.stage.steps[0].name, str(error), error.status in _INVALID))
                case StopJob():
                    await self._client.delete(JOB, action.job)
                    logger.info("Job stopped", extra={"job": action.job})
                case ReleaseJob():
                    await self._release(action.job)
        return refusals

    async def _start(self, action: StartStage) -> None:
        stage = action.stage
        body = build_job(stage, self._site)
        fields = {
            "star": stage.description.star,
            "campaign": stage.description.campaign,
            "step": stage.steps[0].name,
            "attempt": stage.attempt,
            "job": stage.description.id,
        }
        try:
            created = await self._client.create(JOB, body)
            logger.info("Job created", extra=fields)
        except AlreadyExists:
            created = await self._client.get(JOB, stage.description.id)
            logger.info("Job found", extra=fields)
        self._view.put(JOB, created)

    async def _release(self, job: str) -> None:
        try:
            patched = await self._client.patch(JOB, job, {"spec": {"ttlSecondsAfterFinished": self._job_ttl}})
        except NotFound:
            return
        self._view.put(JOB, patched)
