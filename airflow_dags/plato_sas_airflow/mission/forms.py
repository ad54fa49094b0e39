"""The fields of the DAGs' forms, and the arguments that DAGs have in common; the site's settings are the defaults.

Airflow marks a field as required, and refuses it if empty, unless its type allows null. A DAG file is parsed without a
network call, so a form proposes what settings and files beside the DAGs name, and accepts other values.
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
    """Arguments of every `@dag`: retries, queue, notifications. `name`: the alert's setting is `<name>_alert`."""
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
    """Arguments of every operator of stars."""
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
    """The pipeline and the namespace; pipelines with catalogue tables beside the DAG's file are proposed."""
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
            description="Namespace of the resources; the connection's if empty.",
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
            description="Only stars of these samples, one per line; all if empty.",
            items={"type": "string"},
            **_LIST,
        ),
        "max_bad_rows_fraction": fraction(
            settings.max_bad_rows_fraction, "Bad rows", "The run fails if a larger part of the list is not valid."
        ),
    }


def batches(settings: Settings) -> dict[str, Param]:
    return {
        "batch_size": Param(
            settings.batch_size,
            title="Batch size",
            description="Maximum number of stars in one task.",
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
            description="Its products are inputs. auto: the quarter before (Q4 for Q5). none: no campaign.",
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
    """A form's default must be valid for Airflow, so the field may be empty; the task refuses that."""
    return {"star": Param("", title="Star", description="Identifier of the star.", **_OR_EMPTY)}


def stars() -> dict[str, Param]:
    return {"stars": Param([], title="Stars", description="Identifiers of stars, one per line.", items=_STAR, **_LIST)}


def states(names: Sequence[str], default: str, description: str) -> Param:
    """A choice of states; Airflow's page shows it only for `examples`."""
    items = {"type": "string", "enum": list(names)}
    return Param([default], title="States", description=description, examples=list(names), items=items, **_LIST)


def steps(title: str, description: str) -> Param:
    return Param([], title=title, description=description, items=TypeAdapter(StepName).json_schema(), **_LIST)


def _proposed(values: list[str]) -> dict[str, Any]:
    """The values that a field proposes, if any."""
    return {"examples": values} if values else {}
