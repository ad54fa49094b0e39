"""The tasks of `plato_sas_arrivals`."""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.kube.resource import CAMPAIGN_LABEL, STAR_LABEL
from plato_sas_airflow.mission.arrivals.readiness import look
from plato_sas_airflow.mission.arrivals.store import Store, read_started, write_started
from plato_sas_airflow.mission.targets.files import write_batches
from plato_sas_airflow.mission.targets.planning import plan
from plato_sas_airflow.mission.tasks.errors import airflow_errors
from plato_sas_airflow.mission.tasks.lists import batch_arguments, required_campaign, validated_list, work_folder
from plato_sas_airflow.settings import Settings
from plato_sas_airflow.stars.files import read_stars

log = logging.getLogger(__name__)


@airflow_errors
def plan_arrivals(settings: Settings, params: Mapping[str, Any], folder: str) -> list[dict[str, Any]]:
    """The arguments of each batch's StarBatchOperator, for the stars that are ready and were not started before.

    Stars of higher priority are looked at first. Raises AirflowFailException naming what is not valid.
    """
    campaign = required_campaign(dict(params))
    if not settings.inputs_url:
        raise BatchError("[plato_sas] inputs_url: not set; it must name the volume where light curves arrive")
    store = Store(settings.inputs_url, settings.settle_time.total_seconds())
    store.require()
    found = validated_list(settings, dict(params), folder)
    started = _under_way(settings, params, campaign) | read_started(_ledger(settings, campaign))
    waiting = sorted((one for one in found.targets if one.star not in started), key=lambda one: -one.priority)
    log.info("%d stars of the list were started before", len(found.targets) - len(waiting))
    seen = look(store.inputs(settings, campaign), [one.star for one in waiting], settings.arrivals_limit)
    log.info("Looked at %d stars: %s", seen.counts.total(), seen.text())
    for star, problem in list(seen.unreadable.items())[:100]:
        log.warning("%s: %s", star, problem)
    ready = set(seen.ready)
    batches = plan((one for one in waiting if one.star in ready), int(params["batch_size"]), settings.max_batches)
    paths = write_batches(folder, batches)
    return batch_arguments(batches, paths)


def remember_arrivals(
    settings: Settings, params: Mapping[str, Any], folder: str, batches: list[dict[str, Any]], results: list[Any]
) -> None:
    """Record the stars of finished batches, so that they are not started again once their resources are deleted.

    Raises AirflowFailException if a batch has failed, since the state of the last task is that of the run.

    :param folder: the folder of the run's files.
    :param batches: what `plan_arrivals` returned.
    :param results: each batch's result; None for a batch without one, whose stars are looked at again.
    """
    finished = [batch for batch, result in zip(batches, results, strict=True) if result]
    stars = [star.name for batch in finished for star in read_stars(batch["stars_file"])]
    if stars:
        write_started(_ledger(settings, required_campaign(dict(params))), folder.rsplit("/", 1)[-1], stars)
    log.info("%d of %d batches have finished, with %d stars", len(finished), len(batches), len(stars))
    tolerated = float(params["max_failed_fraction"])
    failed = [one for one in results if one and one["total"] - one["succeeded"] > tolerated * one["total"]]
    lost = len(batches) - len(finished)
    if failed or lost:
        raise AirflowFailException(
            f"Of {len(batches)} batches {len(failed)} have failed and {lost} have no result; see their logs"
        )


def _under_way(settings: Settings, params: Mapping[str, Any], campaign: str) -> set[str]:
    """The campaign's stars that have a resource."""
    hook = StarProcessingHook(settings.connection)
    namespace = params["namespace"] or hook.namespace()

    def star(resource: dict[str, Any]) -> str:
        return str(resource["metadata"]["labels"].get(STAR_LABEL, ""))

    return set(hook.run(lambda client: client.select(namespace, f"{CAMPAIGN_LABEL}={campaign}", star)))


def _ledger(settings: Settings, campaign: str) -> str:
    return f"{work_folder(settings)}/arrivals/{campaign}"
