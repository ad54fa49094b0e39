"""Carries out the decisions about a catalogue. Every action may be repeated without harm."""

import logging
from collections.abc import Iterable

from plato_sas.controller.kube.client import AlreadyExists, ApiError, KubeClient
from plato_sas.controller.kube.refusals import refusal
from plato_sas.controller.kube.resources import JOB
from plato_sas.jobs.catalogue import STEP, CatalogueRun, build_catalogue_job
from plato_sas.jobs.stage import Site
from plato_sas.plan.catalogue.decide import Action, DeleteJob, StartRun
from plato_sas.plan.refusal import Refusal

logger = logging.getLogger(__name__)


class Actuator:
    """Turns actions into requests."""

    def __init__(self, client: KubeClient, site: Site) -> None:
        self._client = client
        self._site = site

    async def execute(self, actions: Iterable[Action]) -> list[Refusal]:
        """Carry out the actions; returns the Jobs that the API server refused. Raises ApiError on any other failure."""
        refusals = []
        for action in actions:
            match action:
                case StartRun(run):
                    try:
                        await self._start(run)
                    except ApiError as error:
                        refusals.append(refusal(STEP, error))
                case DeleteJob(job):
                    await self._client.delete(JOB, job)
        return refusals

    async def _start(self, run: CatalogueRun) -> None:
        fields = {"catalogue": run.owner.name, "job": run.job}
        try:
            await self._client.create(JOB, build_catalogue_job(run, self._site))
            logger.info("Job created", extra=fields)
        except AlreadyExists:
            logger.info("Job found", extra=fields)
