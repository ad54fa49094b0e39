"""The fields of the DAGs' forms, and what the DAGs have in common; the defaults are the site's settings.

Airflow marks a field as required, and refuses it empty, unless its type admits null.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param
from pydantic import TypeAdapter

from plato_sas.api import PathName, StepName
from plato_sas_airflow.mission.campaigns import AUTOMATIC, NONE, campaigns_up_to
from plato_sas_airflow.notifications import deadline_alert, failed_run_callback
from plato_sas_airflow.settings import Settings

_STAR: dict[str, Any] = TypeAdapter(PathName).json_schema()
_OR_EMPTY = {**_STAR, "pattern": f"^({_STAR['pattern'].removeprefix('^').removesuffix('$')})?$"}
_NAME: dict[str, Any] = {"type": "string", "maxLength": 63}
_OPTIONAL: dict[str, Any] = {"type": ["string", "null"], "maxLength": 63}
_PATH: dict[str, Any] = {"type": ["string", "null"], "maxLength": 1024}
_LIST: dict[str, Any] = {"type": ["array", "null"]}


def common(settings: Settings, name: str) -> dict[str, Any]:
    """Arguments of `@dag` that every DAG has: retries, queue, and who is notified. `name`: of its alert's setting."""
    defaults: dict[str, Any] = {
        "retries": settings.retries,
        "retry_delay": settings.retry_delay,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": max(settings.retry_delay, timedelta(minutes=30)),
    }
    if settings.queue:
        defaults["queue"] = settings.queue
    return {
        "default_args": defaults,
        "deadline": deadline_alert(settings, name),
        "on_failure_callback": failed_run_callback(settings),
        "catchup": False,
        "tags": ["plato-sas"],
    }


def star_tasks(settings: Settings) -> dict[str, Any]:
    """Arguments that every operator of stars has."""
    return {
        "kubernetes_conn_id": settings.connection,
        "pool": settings.pool,
        "timeout": settings.batch_timeout,
        "star_deadline": settings.star_deadline or None,
        "star_ttl": settings.star_ttl or None,
    }


def campaign(settings: Settings) -> dict[str, Param]:
    return {
        "campaign": Param(
            settings.campaign,
            title="Campaign",
            description="Campaign (quarter) of the products, such as Q5.",
            **_proposed(campaigns_up_to(settings.campaign)),
            **_OR_EMPTY,
        )
    }


def place(settings: Settings, dag_file: str) -> dict[str, Param]:
    """The pipeline, with those proposed that have catalogue tables beside the DAG's file, and the namespace."""
    known = {path.stem for path in Path(dag_file).with_name("catalogues").glob("*.yaml")}
    return {
        "pipeline": Param(
            settings.pipeline,
            title="Pipeline",
            description="Name of the StarPipeline.",
            examples=sorted({settings.pipeline, *known}),
            **_NAME,
        ),
        "namespace": Param(
            settings.namespace or None,
            title="Namespace",
            description="Where the resources are; the connection's if empty.",
            **_OPTIONAL,
        ),
    }


def target_list(settings: Settings) -> dict[str, Param]:
    """The list, and how it is read."""
    return {
        "target_list": Param(
            settings.target_list or None,
            title="Target list",
            description="CSV, VOTable, FITS or ECSV: a path, or a URL of a storage that Airflow knows.",
            **_PATH,
        ),
        "samples": Param(
            [],
            title="Samples",
            description="Only stars of these samples, one a line; all if empty.",
            items={"type": "string"},
            **_LIST,
        ),
        "max_bad_rows_fraction": fraction(
            settings.max_bad_rows_fraction, "Bad rows", "The run stops if a larger part of the list is not valid."
        ),
    }


def batches(settings: Settings) -> dict[str, Param]:
    return {
        "batch_size": Param(
            settings.batch_size,
            title="Batch size",
            description="Stars in one task, at most.",
            type="integer",
            minimum=1,
            maximum=20000,
        ),
        "max_failed_fraction": fraction(
            settings.max_failed_fraction, "Failed stars", "A batch fails if a larger part of its stars has failed."
        ),
    }


def fraction(default: float, title: str, description: str) -> Param:
    return Param(default, title=title, description=description, type="number", minimum=0, maximum=1)


def previous(settings: Settings) -> dict[str, Param]:
    return {
        "previous_campaign": Param(
            AUTOMATIC,
            title="Campaign before",
            description="Its products of the star are inputs. auto: the quarter before (Q4 for Q5). none: no other.",
            examples=[AUTOMATIC, NONE, *campaigns_up_to(settings.campaign)[1:]],
            type="string",
            maxLength=48,
        )
    }


def parameters() -> dict[str, Param]:
    return {
        "parameters": Param(
            {},
            title="Parameters",
            description='Values for the modules\' parameters, by step: {"msap3-03": {"snr_min": "4"}}.',
            type=["object", "null"],
        )
    }


def star() -> dict[str, Param]:
    """Airflow wants a form's default to be valid, and the empty one is refused by the task."""
    return {"star": Param("", title="Star", description="Identifier of the star.", **_OR_EMPTY)}


def stars() -> dict[str, Param]:
    return {"stars": Param([], title="Stars", description="Identifiers of stars, one a line.", items=_STAR, **_LIST)}


def states(names: Sequence[str], default: str, description: str) -> Param:
    """States to choose from, several at a time; a page shows the choice only for `examples`."""
    items = {"type": "string", "enum": list(names)}
    return Param([default], title="States", description=description, examples=list(names), items=items, **_LIST)


def steps(title: str, description: str) -> Param:
    return Param([], title=title, description=description, items=TypeAdapter(StepName).json_schema(), **_LIST)


def _proposed(values: list[str]) -> dict[str, Any]:
    """Values that a field proposes while others are accepted, too."""
    return {"examples": values} if values else {}
