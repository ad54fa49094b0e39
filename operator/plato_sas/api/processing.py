"""StarProcessing: one star through one pipeline."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, WithJsonSchema

from plato_sas.api.base import (
    API_VERSION,
    ATOMIC_LIST,
    ATOMIC_MAP,
    IMMUTABLE,
    ApiModel,
    Duration,
    PathName,
    ProductName,
    ResourceName,
    Scalar,
    Sha256,
    StepName,
    Timestamp,
    VariableName,
    VolumePath,
    cel_rules,
    list_map,
)
from plato_sas.api.meta import Condition, ObjectMeta
from plato_sas.api.pipeline import StageMode


class DesiredState(StrEnum):
    """What the user wants to happen with the star."""

    RUN = "Run"
    SUSPEND = "Suspend"
    CANCEL = "Cancel"


class StarState(StrEnum):
    """The star as a whole."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"

    @property
    def final(self) -> bool:
        """Of a state: it stays until the spec asks for a rerun. Jobs, pods and containers are *finished* instead."""
        return self in (StarState.SUCCEEDED, StarState.FAILED, StarState.CANCELLED)

    @property
    def at_rest(self) -> bool:
        """Final, or Rejected, which lasts only until the spec or the pipeline is corrected."""
        return self.final or self is StarState.REJECTED


class StepState(StrEnum):
    """One step of a star."""

    PENDING = "Pending"
    RUNNING = "Running"
    PUBLISHING = "Publishing"  # its module ended with exit code 0; its products are not visible yet
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    REUSED = "Reused"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def final(self) -> bool:
        """As of a star: it stays until the spec asks for a rerun."""
        return self not in (StepState.PENDING, StepState.RUNNING, StepState.PUBLISHING)

    @property
    def published(self) -> bool:
        """Its products are in the product tree."""
        return self in (StepState.SUCCEEDED, StepState.REUSED)


class InputFile(ApiModel):
    """Where an external product of this star is, if not at the pipeline's path."""

    path: VolumePath | None = Field(None, description="File below the inputs volume.")
    sha256: Sha256 | None = Field(None, description="Verified before any module sees the file.")


class Rerun(ApiModel):
    """A wish to run steps again, taken up once for each `id`, with the pipeline as it is then.

    Neither `from` nor `failed`: every step is looked at again, and what nothing has changed for is reused.
    """

    model_config = {
        "json_schema_extra": cel_rules(
            ("!has(self.from) || !has(self.failed) || !self.failed", "from and failed exclude each other")
        )
    }

    id: int = Field(ge=1, le=1000000, description="Higher than that of the rerun before.")
    from_steps: list[StepName] | None = Field(
        None,
        alias="from",
        min_length=1,
        max_length=64,
        description="These steps run even if nothing has changed for them; what is downstream is looked at again.",
    )
    failed: bool = Field(False, description="Only steps that failed or were cancelled, and those skipped for them.")


class StarProcessingSpec(ApiModel):
    """One star, one campaign, one pipeline."""

    model_config = {
        "json_schema_extra": cel_rules(
            (
                "!has(self.previousCampaign) || self.previousCampaign != self.campaign",
                "previousCampaign must be another campaign",
            ),
            (
                "!has(oldSelf.rerun) || (has(self.rerun) && self.rerun.id >= oldSelf.rerun.id)",
                "rerun.id must not become smaller",
            ),
        )
    }

    star: PathName = Field(
        description="Identifier of the star: letters, digits, _ and -. It names folders. Immutable.",
        json_schema_extra=IMMUTABLE,
    )
    campaign: PathName = Field(
        description="Campaign (quarter) of the products, such as Q5: letters, digits, _ and -. Immutable.",
        json_schema_extra=IMMUTABLE,
    )
    pipeline: ResourceName = Field(
        description="Name of the StarPipeline in the same namespace. Immutable.", json_schema_extra=IMMUTABLE
    )
    parameters: dict[StepName, Annotated[dict[VariableName, Scalar], Field(max_length=64)]] = Field(
        default_factory=dict, max_length=64, description="Values for the parameters of each step's module."
    )
    inputs: dict[ProductName, InputFile] = Field(
        default_factory=dict, max_length=64, description="Overrides for the pipeline's externals."
    )
    previous_campaign: PathName | None = Field(
        None, description="Whose products of this star are the steps' `previous` inputs."
    )
    stages: StageMode | None = Field(None, description="How steps become Jobs; what the pipeline says if not given.")
    priority: int = Field(0, ge=-1000, le=1000, description="Stars of higher priority are started first.")
    desired_state: DesiredState = Field(
        DesiredState.RUN,
        description="Suspend: no new Jobs, running ones finish. Cancel: running Jobs are stopped.",
    )
    deadline: Duration | None = Field(
        None,
        description="How long the star may take from its first Job, such as 6h; then what is left of it is stopped. "
        "Time in which it waits for a slot does not count. A rerun begins it anew. No limit if not given.",
    )
    ttl: Duration | None = Field(
        None,
        description="How long the finished star stays, before its record is archived and it is deleted; the site's "
        "controller.starTtlSeconds if not given.",
    )
    rerun: Rerun | None = None


FactValue = Annotated[
    StrictBool | StrictInt | StrictFloat | StrictStr,
    WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True}),
]
Facts = dict[VariableName, FactValue]


class StepStatus(ApiModel):
    """One step's state; products and facts of an unfinished step do not exist."""

    name: StepName = Field(description="The step's name in the pipeline.")
    state: StepState = StepState.PENDING
    attempt: int = Field(0, ge=0, description="Attempts begun.")
    job: ResourceName | None = Field(None, description="Job of the latest attempt.")
    reason: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Why it is in this state, as one word for programs."
    )
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="Why the step failed or was skipped; a failed module's last log lines."
    )
    exit_code: int | None = Field(None, description="Of the module in the latest attempt, once it has ended.")
    retries: dict[Annotated[str, Field(max_length=32)], Annotated[int, Field(ge=0)]] | None = Field(
        None, max_length=8, description="Attempts made again, by class of failure."
    )
    digest: Sha256 | None = Field(None, description="SHA-256 over the published outputs' digests.")
    missing: list[ProductName] | None = Field(
        None, max_length=64, description="Optional outputs that the module did not write."
    )
    started_at: Timestamp | None = Field(None, description="When the latest attempt's module began.")
    finished_at: Timestamp | None = Field(None, description="When the step ended, or its latest attempt failed.")


class StarProcessingStatus(ApiModel):
    """What the operator knows of the star; written by the operator alone."""

    state: StarState = StarState.PENDING
    observed_generation: int | None = Field(None, ge=0, description="The generation of the spec that this is about.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        description="Accepted and Complete, with the reasons.",
        json_schema_extra=list_map("type"),
    )
    revision: ResourceName | None = Field(
        None, description="ControllerRevision that holds the graph and modules this star runs with."
    )
    progress: Annotated[str, Field(max_length=16)] | None = Field(
        None, description="Steps that are final or whose module has ended well, of all steps."
    )
    step: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="The steps that run; where none does, those that wait to be published, or that failed."
    )
    steps: list[StepStatus] = Field(
        default_factory=list,
        max_length=64,
        description="Every step of the pipeline, in its order.",
        json_schema_extra=ATOMIC_LIST,
    )
    facts: dict[StepName, Facts] = Field(
        default_factory=dict,
        max_length=64,
        description="What the steps' modules reported, by step and name.",
        json_schema_extra=ATOMIC_MAP,
    )
    inputs: dict[ProductName, Sha256] = Field(
        default_factory=dict,
        max_length=64,
        description="SHA-256 of the external products that were read.",
        json_schema_extra=ATOMIC_MAP,
    )
    rerun: int | None = Field(None, ge=0, description="The spec.rerun.id that was taken up last.")
    started_at: Timestamp | None = Field(None, description="When the star's first Job was created.")
    finished_at: Timestamp | None = Field(None, description="When the star finished.")


class StarProcessing(ApiModel):
    """One star through one pipeline."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarProcessing"] = "StarProcessing"
    metadata: ObjectMeta
    spec: StarProcessingSpec
    status: StarProcessingStatus = Field(default_factory=StarProcessingStatus)
