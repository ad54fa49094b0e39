"""The tasks of `plato_sas_quarter`."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from plato_sas_airflow.catalogues.tables import read_tables
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.mission.campaigns import all_campaigns, campaign_asset, previous_campaign
from plato_sas_airflow.mission.targets.files import write_batches
from plato_sas_airflow.mission.targets.planning import plan
from plato_sas_airflow.mission.tasks.errors import airflow_errors
from plato_sas_airflow.mission.tasks.lists import batch_arguments, required_campaign, validated_list
from plato_sas_airflow.settings import Settings
from plato_sas_airflow.stars.fields import problems
from plato_sas_airflow.stars.values import parameters_of

log = logging.getLogger(__name__)


@airflow_errors
def quarter_request(params: Mapping[str, Any], events: Mapping[Any, Any], folder: str) -> dict[str, Any]:
    """The request of a run: the fields of its form, replaced by the extras of the asset event that started it.

    Raises AirflowFailException naming what is missing or not valid.

    :param events: Airflow's `triggering_asset_events`; of several events the last one counts.
    :param folder: the folder of the run's files.
    """
    extras = [event.extra for several in events.values() for event in several if event.extra]
    given = dict(extras[-1]) if extras else {}
    unknown = sorted(set(given) - set(params))
    if unknown:
        raise BatchError(f"asset event: unknown fields {', '.join(unknown)}; there are {', '.join(sorted(params))}")
    asked = {**params, **given}
    campaign = required_campaign(asked)
    asked["previous_campaign"] = previous_campaign(campaign, asked["previous_campaign"])
    asked["parameters"] = parameters_of("parameters", asked["parameters"])
    asked["namespace"] = asked["namespace"] or ""
    asked["folder"] = folder
    spec = {"campaign": campaign, "pipeline": asked["pipeline"], "parameters": asked["parameters"]}
    before = {"previousCampaign": asked["previous_campaign"]} if asked["previous_campaign"] else {}
    found = problems({**spec, **before})
    if found:
        raise BatchError("; ".join(found))
    log.info("Campaign %s through %s, after %s", campaign, asked["pipeline"], asked["previous_campaign"] or "none")
    return asked


@airflow_errors
def catalogue_tables(folder: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The catalogue's tables; skips the task if no catalogue is requested. Raises AirflowFailException."""
    if not asked["catalogue"]:
        raise AirflowSkipException("No catalogue is requested")
    return read_tables(folder, asked["pipeline"])


@airflow_errors
def plan_quarter(settings: Settings, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The arguments of each batch's StarBatchOperator. Raises AirflowFailException naming file and lines."""
    found = validated_list(settings, asked, asked["folder"])
    batches = plan(found.targets, int(asked["batch_size"]), settings.max_batches)
    paths = write_batches(asked["folder"], batches)
    for batch in batches:
        log.info("Batch %s: %d stars", batch.name, len(batch.stars))
    return batch_arguments(batches, paths)


def announce_campaign(
    asked: Mapping[str, Any],
    results: Iterable[Mapping[str, Any]],
    catalogue: Mapping[str, Any] | None,
    outlet_events: Any,
) -> dict[str, Any]:
    """Sum up the batches, and update the campaign's asset with the result."""
    counts = {"batches": 0, "total": 0, "succeeded": 0, "failed": 0}
    for result in results:
        counts["batches"] += 1
        for key in ("total", "succeeded", "failed"):
            counts[key] += int(result[key])
    summary = {
        "campaign": asked["campaign"],
        "pipeline": asked["pipeline"],
        **counts,
        "catalogue": catalogue["name"] if catalogue else None,
        "files": [file["path"] for table in (catalogue or {}).get("tables") or [] for file in table.get("files") or []],
    }
    outlet_events[all_campaigns()].add(campaign_asset(asked["campaign"]), extra=summary)
    log.info("%(succeeded)d of %(total)d stars succeeded, %(failed)d failed, in %(batches)d batches", counts)
    log.info("Failed stars and rows that were left out are listed in %s", asked["folder"])
    return summary
