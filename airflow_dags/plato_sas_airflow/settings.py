"""The site's settings for the DAGs: the section `[plato_sas]` of Airflow's configuration.

Each setting is an option of that section or the environment variable `AIRFLOW__PLATO_SAS__<NAME>`. Settings are read
whenever a DAG file is parsed; Airflow's variables are not used, since each of them would cost a request. What may
differ between runs is a field of the DAG's form, with the setting as its default.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from plato_sas.api import seconds

SECTION = "plato_sas"
# Repeated here, since importing Airflow's Kubernetes hook imports the Kubernetes clients.
DEFAULT_CONNECTION = "kubernetes_default"


class SettingsError(ValueError):
    """Settings are not valid; the message names each of them."""


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
        raise ValueError(f"{value!r} lacks {{star}}, or has names other than {{star}} and {{campaign}}")
    return value


Template = Annotated[str, AfterValidator(_template)]
Span = Annotated[timedelta, BeforeValidator(_span)]
Alert = Annotated[timedelta | None, BeforeValidator(_alert)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]


class Settings(BaseModel):
    """The options of `[plato_sas]`. The type of a field defines how its text is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connection: str = Field(
        "kubernetes_default", description="Airflow connection of the type `kubernetes` or `plato_sas`."
    )
    namespace: str = Field("", description="Namespace of the resources; the connection's if empty.", examples=["plato"])
    pipeline: str = Field("sas-baseline", description="Default pipeline (StarPipeline) of the forms.")
    campaign: str = Field(
        "", description="Default campaign of the forms, and the campaign of scheduled runs.", examples=["Q5"]
    )
    target_list: str = Field(
        "",
        description=(
            "Default target list of the forms, and the list of scheduled runs: a path, or a URL of a storage that "
            "Airflow knows."
        ),
        examples=["s3://sas@targets/q5.fits"],
    )
    targets_asset: str = Field(
        "plato-sas://targets",
        description="Asset whose events start `plato_sas_quarter`; their extras replace fields of the form.",
    )
    star_column: str = Field("star", description="Column of a target list with the stars' identifiers.")
    sample_column: str = Field("sample", description="Column with the samples (P1, P2, ...); optional in a list.")
    priority_column: str = Field("priority", description="Column with priorities (-1000 to 1000); optional in a list.")
    sample_priorities: Annotated[dict[str, Priority], BeforeValidator(_decoded)] = Field(
        {"P1": 40, "P2": 30, "P4": 20, "P5": 10},
        description="Priority of a star without one of its own, by sample; a JSON object. Other stars have 0.",
    )
    max_bad_rows_fraction: Fraction = Field(
        0.01, description="A run fails if a larger part of its target list is not valid."
    )
    batch_size: Count = Field(1000, description="Maximum number of stars in one task.")
    max_batches: Count = Field(500, description="Maximum number of batches in one run; a run that needs more fails.")
    batches_at_once: Count = Field(
        10,
        description=(
            "Maximum number of batches of one run under way at a time, deferred ones included: up to this many times "
            "`batch_size` unfinished stars are in the cluster."
        ),
    )
    max_failed_fraction: Fraction = Field(0.05, description="A batch fails if a larger part of its stars has failed.")
    batch_timeout: Span = Field(
        timedelta(days=7), description="Time limit of a batch; its unfinished stars are then cancelled."
    )
    star_deadline: str = Field(
        "", description="Time limit of a star, from its first Job; none if empty.", examples=["6h"]
    )
    star_ttl: str = Field(
        "",
        description="How long a star's resource is kept in a final state; the operator's setting if empty.",
        examples=["2d"],
    )
    catalogue_tables: str = Field(
        "",
        description=(
            "Folder with `<pipeline>.yaml`: the manifest of a StarCatalogue whose tables are those of a campaign's "
            "catalogue; the folder beside the DAGs if empty."
        ),
        examples=["s3://sas@config/catalogues"],
    )
    catalogue_timeout: Span = Field(timedelta(hours=12), description="How long a task waits for a catalogue.")
    work_url: str = Field(
        "",
        description=(
            "Folder for the batches' star lists, refused rows and failed stars: a path or URL that every worker "
            "and triggerer can write to. `<AIRFLOW_HOME>/plato_sas` if empty, which works only if all are on one "
            "machine."
        ),
        examples=["s3://sas@work/airflow"],
    )
    inputs_url: str = Field(
        "",
        description="The inputs volume as Airflow's workers see it; required by `plato_sas_arrivals`.",
        examples=["file:///mnt/sas-inputs"],
    )
    light_curve_path: Template = Field(
        "{star}/DP1_LC_MERGED.h5",
        description="The star's light curve, below `inputs_url`; `{campaign}` may be used as well.",
    )
    transit_flag_path: Template = Field(
        "{star}/IDP_EAS_QC_TARGET_TCE_DETECTION.h5", description="Its transit flag, below `inputs_url`."
    )
    removal_kit_path: Template = Field(
        "{star}/IDP_EAS_TRANSIT_REMOVAL_KIT.h5", description="Its transit removal kit, below `inputs_url`."
    )
    settle_time: Span = Field(
        timedelta(minutes=1),
        description="A file changed more recently is ignored, since it may still be written.",
    )
    arrivals_schedule: str = Field(
        "",
        description="When `plato_sas_arrivals` looks for arrivals: a cron expression or preset; only by hand if empty.",
        examples=["@hourly"],
    )
    arrivals_limit: Count = Field(
        10000, description="Maximum number of stars that one look starts; the next look starts the others."
    )
    arrivals_runs: Count = Field(
        8, description="Maximum number of looks whose stars are under way; no new look begins before one has finished."
    )
    pool: str = Field("default_pool", description="Airflow pool of the tasks that process stars; it must exist.")
    queue: str = Field("", description="Queue of all tasks; the executor's default if empty.")
    retries: int = Field(
        3, ge=0, description="Retries of a task, after a lost worker or while the API server is unreachable."
    )
    retry_delay: Span = Field(timedelta(minutes=1), description="Pause before the first retry; doubled each time.")
    quarter_alert: Alert = Field(
        timedelta(days=30),
        description=(
            "How long after it was queued an unfinished run of `plato_sas_quarter` raises an alert; `never` for no "
            "alert."
        ),
    )
    reprocess_alert: Alert = Field(timedelta(days=7), description="The same for `plato_sas_reprocess`.")
    star_alert: Alert = Field(timedelta(days=1), description="The same for `plato_sas_star`.")
    arrivals_alert: Alert = Field(timedelta(days=3), description="The same for `plato_sas_arrivals`.")
    notifier: str = Field(
        "",
        description=(
            "Class of an Airflow notifier, called for failed runs and missed deadlines, which are always logged too."
        ),
        examples=["airflow.providers.smtp.notifications.smtp.SmtpNotifier"],
    )
    notifier_arguments: Annotated[dict[str, Any], BeforeValidator(_decoded)] = Field(
        {}, description="Arguments of the notifier; a JSON object. Their templates are rendered for a failed run."
    )

    @classmethod
    def read(cls) -> Self:
        """The settings of Airflow's configuration and the environment. Raises SettingsError."""
        # Imported here: the configuration loads the providers, and this package's provider_info imports this module.
        from airflow.sdk.configuration import conf

        texts = {name: conf.get(SECTION, name, fallback="") for name in cls.model_fields}
        try:
            return cls.model_validate({name: text for name, text in texts.items() if text})
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
            raise SettingsError(f"[{SECTION}] {'; '.join(wrong)}") from None

    @classmethod
    def provider_options(cls) -> dict[str, dict[str, Any]]:
        """Every option as a provider describes it to Airflow. An empty option means this module's default."""
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
