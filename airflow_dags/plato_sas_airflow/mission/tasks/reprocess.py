"""The task of `plato_sas_reprocess` that finds the stars."""

import logging
from collections.abc import Mapping
from typing import Any

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.kube.resource import CAMPAIGN_LABEL
from plato_sas_airflow.mission.campaigns import previous_campaign
from plato_sas_airflow.mission.reprocessing import Present, Selection, batches, chosen, groups, in_states
from plato_sas_airflow.mission.targets.files import read_list, write_batches
from plato_sas_airflow.mission.tasks.errors import airflow_errors
from plato_sas_airflow.mission.tasks.lists import failed_stars_path, required_campaign
from plato_sas_airflow.settings import Settings
from plato_sas_airflow.stars.values import names_of, parameters_of

log = logging.getLogger(__name__)


@airflow_errors
def plan_reprocessing(settings: Settings, params: Mapping[str, Any], folder: str) -> list[dict[str, Any]]:
    """The arguments of each batch's StarBatchOperator; empty if no star matches.

    Raises AirflowFailException naming what is not valid.
    """
    campaign = required_campaign(dict(params))
    selection = _selection(settings, params, campaign)
    log.info("Campaign %s: %s", campaign, selection.text())
    before = previous_campaign(campaign, params["previous_campaign"])
    found = groups(selection, parameters_of("parameters", params["parameters"]), before)
    planned = batches(found, int(params["batch_size"]), settings.max_batches)
    paths = write_batches(folder, [batch for _, batch in planned])
    return [
        {
            **group.arguments,
            **({"stars": list(group.specs)} if group.specs else {"stars_file": path}),
            "failed_stars_path": failed_stars_path(path),
        }
        for (group, _), path in zip(planned, paths, strict=True)
    ]


def _selection(settings: Settings, params: Mapping[str, Any], campaign: str) -> Selection:
    """Raises BatchError."""
    stars = names_of("stars", params["stars"])
    if stars and params["target_list"]:
        raise BatchError("stars, target_list: give only one of them")
    if params["target_list"]:
        stars = _listed(params["target_list"], settings.star_column)
    states = names_of("states", params["states"])
    if not stars and not states:
        raise BatchError("stars, target_list, states: give at least one of them")
    hook = StarProcessingHook(settings.connection)
    namespace = params["namespace"] or hook.namespace()
    selector = f"{CAMPAIGN_LABEL}={campaign}"
    present = hook.run(lambda client: client.select(namespace, selector, Present.of))
    if stars:
        return chosen(present, params["pipeline"], stars)
    return in_states(present, params["pipeline"], states, names_of("failed_steps", params["failed_steps"]))


def _listed(path: str, column: str) -> list[str]:
    """The stars of a target list, or of a file with a batch's failed stars. Raises BatchError."""
    table = read_list(path, column)
    wrong = [row.number for row in table.rows if row.problem or not row.values[0]]
    if wrong:
        raise BatchError(f"{path}: no star in {table.unit} {', '.join(map(str, wrong[:10]))}")
    return [str(row.values[0]) for row in table.rows]
