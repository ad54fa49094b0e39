"""What a site can set for the DAGs: the section `[plato_sas]` of Airflow's configuration, in one place.

Each setting is an option of that section or the environment variable `AIRFLOW__PLATO_SAS__<NAME>`. They are read
whenever a DAG file is parsed; Airflow's variables are not used, since each of them would be a request then. What may
differ from run to run is a field of the DAG's form, and the setting is that field's default.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from plato_sas.api import seconds

SECTION = "plato_sas"
# Written down here, since asking Airflow's Kubernetes hook for it imports the Kubernetes clients.
DEFAULT_CONNECTION = "kubernetes_default"


class SettingsError(ValueError):
    """Settings cannot be read; the message names each."""


def _span(value: object) -> object:
    """A duration such as 90s, 20m, 6h or 7d."""
    if not isinstance(value, str):
        return value
    try:
        span = timedelta(seconds=seconds(value))
    except (ValueError, KeyError, IndexError):
        span = timedelta(0)
    if span <= timedelta(0):
        raise ValueError(f"{value!r} is not a duration such as 90s, 20m, 6h or 7d")
    return span


def _alert(value: object) -> object:
    """A duration, or `never`."""
    return None if value == "never" else _span(value)


def _decoded(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"{value!r} is not JSON") from None


def _template(value: str) -> str:
    if "{star}" not in value or "{" in value.replace("{star}", "").replace("{campaign}", ""):
        raise ValueError(f"{value!r} does not have {{star}}, or other names than {{star}} and {{campaign}}")
    return value


Template = Annotated[str, AfterValidator(_template)]
Span = Annotated[timedelta, BeforeValidator(_span)]
Alert = Annotated[timedelta | None, BeforeValidator(_alert)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]


class Settings(BaseModel):
    """The options of `[plato_sas]`. The type of a field says how its text is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connection: str = Field(
        "kubernetes_default", description="Airflow connection of the type `kubernetes` or `plato_sas`."
    )
    namespace: str = Field("", description="Namespace of the resources; the connection's if empty.", examples=["plato"])
    pipeline: str = Field("sas-baseline", description="StarPipeline that the forms propose.")
    campaign: str = Field(
        "", description="Campaign that the forms propose, and that scheduled runs take.", examples=["Q5"]
    )
    target_list: str = Field(
        "",
        description=(
            "Target list that the forms propose, and that scheduled runs take: a path, or a URL of a storage that "
            "Airflow knows."
        ),
        examples=["s3://sas@targets/q5.fits"],
    )
    targets_asset: str = Field(
        "plato-sas://targets",
        description="Asset whose events start `plato_sas_quarter`; their extras are the form's fields.",
    )
    star_column: str = Field("star", description="Column of a target list with the stars' identifiers.")
    sample_column: str = Field("sample", description="Column with the samples (P1, P2, ...); a list need not have it.")
    priority_column: str = Field(
        "priority", description="Column with priorities (-1000 to 1000); a list need not have it."
    )
    sample_priorities: Annotated[dict[str, Priority], BeforeValidator(_decoded)] = Field(
        {"P1": 40, "P2": 30, "P4": 20, "P5": 10},
        description="Priority of a star that has none of its own, by its sample; a JSON object. Other stars have 0.",
    )
    max_bad_rows_fraction: Fraction = Field(
        0.01, description="A run stops if a larger part of its target list is not valid."
    )
    batch_size: Count = Field(1000, description="Stars in one task, at most.")
    max_batches: Count = Field(500, description="Tasks of one run, at most; a run that needs more stops.")
    batches_at_once: Count = Field(
        10,
        description=(
            "Batches of one run under way at a time, deferred ones included: this many times `batch_size` stars "
            "are in the cluster and not finished."
        ),
    )
    max_failed_fraction: Fraction = Field(0.05, description="A batch fails if a larger part of its stars has failed.")
    batch_timeout: Span = Field(
        timedelta(days=7), description="How long a batch may take; then its stars are cancelled."
    )
    star_deadline: str = Field(
        "", description="How long a star may take from its first Job; no limit if empty.", examples=["6h"]
    )
    star_ttl: str = Field(
        "", description="How long a finished star's resource stays; the operator's setting if empty.", examples=["2d"]
    )
    catalogue_tables: str = Field(
        "",
        description=(
            "Folder with `<pipeline>.yaml`: the manifest of a StarCatalogue, whose tables a campaign's catalogue gets; "
            "the one beside the DAGs if empty."
        ),
        examples=["s3://sas@config/catalogues"],
    )
    catalogue_timeout: Span = Field(
        timedelta(hours=12), description="How long the making of a catalogue is waited for."
    )
    work_url: str = Field(
        "",
        description=(
            "Folder for the batches' star lists, refused rows and failed stars: a path or URL that every worker "
            "and triggerer can write to. `<AIRFLOW_HOME>/plato_sas` if empty, which does only where all are on "
            "one machine."
        ),
        examples=["s3://sas@work/airflow"],
    )
    inputs_url: str = Field(
        "",
        description="The inputs volume as Airflow's workers see it; `plato_sas_arrivals` needs it.",
        examples=["file:///mnt/sas-inputs"],
    )
    light_curve_path: Template = Field(
        "{star}/DP1_LC_MERGED.h5",
        description="The star's light curve, below `inputs_url`; `{campaign}` is known as well.",
    )
    transit_flag_path: Template = Field(
        "{star}/IDP_EAS_QC_TARGET_TCE_DETECTION.h5", description="Its transit flag, below `inputs_url`."
    )
    removal_kit_path: Template = Field(
        "{star}/IDP_EAS_TRANSIT_REMOVAL_KIT.h5", description="Its transit removal kit, below `inputs_url`."
    )
    settle_time: Span = Field(
        timedelta(minutes=1),
        description="A file that was changed more recently is not there yet: somebody may be writing it.",
    )
    arrivals_schedule: str = Field(
        "",
        description="When `plato_sas_arrivals` looks for arrivals: a cron expression or preset; by hand if empty.",
        examples=["@hourly"],
    )
    arrivals_limit: Count = Field(10000, description="Stars that one look starts, at most; the next one goes on.")
    arrivals_runs: Count = Field(
        8, description="Looks whose stars may be under way at a time; while there are as many, nobody looks."
    )
    pool: str = Field("default_pool", description="Airflow pool of the tasks that process stars. It has to exist.")
    queue: str = Field("", description="Queue of all tasks; the executor's default if empty.")
    retries: int = Field(3, ge=0, description="Tries again after a lost worker or while the API server is away.")
    retry_delay: Span = Field(timedelta(minutes=1), description="Pause before the first of them; doubled each time.")
    quarter_alert: Alert = Field(
        timedelta(days=30),
        description=(
            "A run of `plato_sas_quarter` that has not ended so long after it was queued is notified; `never` for no "
            "alert."
        ),
    )
    reprocess_alert: Alert = Field(timedelta(days=7), description="The same for `plato_sas_reprocess`.")
    star_alert: Alert = Field(timedelta(days=1), description="The same for `plato_sas_star`.")
    arrivals_alert: Alert = Field(timedelta(days=3), description="The same for `plato_sas_arrivals`.")
    notifier: str = Field(
        "",
        description=(
            "Class of an Airflow notifier, called for failed runs and missed deadlines. Beside it both are in the log."
        ),
        examples=["airflow.providers.smtp.notifications.smtp.SmtpNotifier"],
    )
    notifier_arguments: Annotated[dict[str, Any], BeforeValidator(_decoded)] = Field(
        {}, description="Arguments of the notifier; a JSON object. For a failed run their templates are rendered."
    )

    @classmethod
    def read(cls) -> Self:
        """As Airflow's configuration and the environment say. Raises SettingsError."""
        # Here, since the configuration asks the providers, and this package's answer comes from this module.
        from airflow.sdk.configuration import conf

        texts = {name: conf.get(SECTION, name, fallback="") for name in cls.model_fields}
        try:
            return cls.model_validate({name: text for name, text in texts.items() if text})
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
            raise SettingsError(f"[{SECTION}] {'; '.join(wrong)}") from None

    @classmethod
    def provider_options(cls) -> dict[str, dict[str, Any]]:
        """Every option as a provider describes it to Airflow. Empty stands for the default, which is this module's."""
        return {
            name: {
                "description": field.description,
                "version_added": "0.1.0",
                "type": "string",
                "example": (field.examples or [as_text(field.default)])[0] or None,
                "default": "",
            }
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def table(cls) -> str:
        """All settings as a table in Markdown."""
        lines = ["| setting | what | default |", "|---|---|---|"]
        for name, field in cls.model_fields.items():
            default = as_text(field.default)
            lines.append(f"| `{name}` | {field.description} | {f'`{default}`' if default else ''} |")
        return "\n".join(lines)


def as_text(value: object) -> str:
    """A setting's value as it is written in the configuration."""
    if isinstance(value, timedelta):
        left = int(value.total_seconds())
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
            if left and left % size == 0:
                return f"{left // size}{unit}"
        return f"{left}s"
    return (json.dumps(value) if value else "") if isinstance(value, Mapping) else str(value)


if __name__ == "__main__":
    print(Settings.table())
