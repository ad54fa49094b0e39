"""StarProcessing: the processing of one star by one pipeline."""

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
    Parameters,
    PathName,
    ProductName,
    ResourceName,
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
    """What the user wants for the star."""

    RUN = "Run"
    SUSPEND = "Suspend"
    CANCEL = "Cancel"


class StarState(StrEnum):
    """State of a star as a whole."""

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
    """State of one step of a star."""

    PENDING = "Pending"
    RUNNING = "Running"
    PUBLISHING = "Publishing"  # its module has ended with exit code 0; its products are not visible yet
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
        """Whether its products are in the product tree."""
        return self in (StepState.SUCCEEDED, StepState.REUSED)


class InputFile(ApiModel):
    """Where an external product of this star is, and its checksum."""

    path: VolumePath | None = Field(
        None, description="File, relative to the root of the inputs volume; the pipeline's path if not set."
    )
    sha256: Sha256 | None = Field(
        None,
        description=(
            "Expected SHA-256 of the file, in hexadecimal. Another digest fails the step before its module starts. If "
            "not set, any file is taken."
        ),
    )


class Rerun(ApiModel):
    """A request to run steps again with the present pipeline.

    Without `from` and `failed` every step is checked again, and reused if nothing has changed for it.
    """

    model_config = {
        "json_schema_extra": cel_rules(
            ("!has(self.from) || !has(self.failed) || !self.failed", "from and failed exclude each other")
        )
    }

    id: int = Field(
        ge=1,
        le=9999999999,
        description=(
            "Number of the request, higher than that of the one before, such as the time in seconds (date +%s). Each "
            "is carried out once."
        ),
    )
    from_steps: list[StepName] | None = Field(
        None,
        alias="from",
        min_length=1,
        max_length=64,
        description=(
            "Run these steps even if nothing has changed for them. Steps downstream run again if what they read has "
            "changed."
        ),
    )
    failed: bool = Field(
        False, description="Rerun only steps that failed or were cancelled, and those downstream of them."
    )


class StarProcessingSpec(ApiModel):
    """Which star, campaign and pipeline, and how the star is to be processed."""

    model_config = {
        "json_schema_extra": cel_rules(
            (
                "!has(self.previousCampaign) || self.previousCampaign != self.campaign",
                "previousCampaign must be another campaign",
            ),
            (
                "!has(oldSelf.rerun) || (has(self.rerun) && self.rerun.id >= oldSelf.rerun.id)",
                "rerun.id must not decrease",
            ),
        )
    }

    star: PathName = Field(
        json_schema_extra=IMMUTABLE, description="Identifier of the star, which is also the name of its product folder."
    )
    campaign: PathName = Field(
        json_schema_extra=IMMUTABLE,
        description="Campaign to which the products belong, such as a quarter; the top folder of the product tree.",
    )
    pipeline: ResourceName = Field(
        json_schema_extra=IMMUTABLE,
        description=(
            "StarPipeline of the same namespace. Later changes of it do not reach a star in flight; a rerun takes them "
            "up."
        ),
    )
    parameters: dict[StepName, Parameters] = Field(
        default_factory=dict,
        max_length=64,
        description=(
            "Values of module parameters, by step and name; they override the pipeline's. If changed, stages that "
            "start later see them."
        ),
    )
    inputs: dict[ProductName, InputFile] = Field(
        default_factory=dict,
        max_length=64,
        description="Path and checksum of external products, by name; the pipeline's paths for the others.",
    )
    previous_campaign: PathName | None = Field(
        None,
        description=(
            "Campaign from which steps read `previous` inputs of this star. If not set, these inputs are absent."
        ),
    )
    stages: StageMode | None = Field(
        None, description="How steps are grouped into Jobs (Fused or PerStep); the pipeline's choice if not set."
    )
    priority: int = Field(
        0,
        ge=-1000,
        le=1000,
        description="Order in which waiting stars start: higher first, and the older of equal ones.",
    )
    desired_state: DesiredState = Field(
        DesiredState.RUN,
        description=(
            "Suspend: no new Jobs, and running ones finish. Cancel: running Jobs are stopped, and unfinished steps are "
            "cancelled."
        ),
    )
    deadline: Duration | None = Field(
        None,
        description=(
            "Longest time from the star's first Job, such as 6h; it includes waiting for a node, and a rerun begins it "
            "anew. Afterwards Jobs are stopped and the star fails. No limit if not set."
        ),
    )
    ttl: Duration | None = Field(
        None,
        description=(
            "How long the resource stays after the star's end, such as 2d; then its record is archived and it is "
            "deleted. Products stay. If not set, the site's setting (controller.starTtlSeconds, 7 days by default)."
        ),
    )
    rerun: Rerun | None = Field(
        None, description="A request to run steps again with the present pipeline; nothing runs again if not set."
    )


FactValue = Annotated[
    StrictBool | StrictInt | StrictFloat | StrictStr,
    WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True}),
]
Facts = dict[VariableName, FactValue]


class StepStatus(ApiModel):
    """State of one step."""

    name: StepName = Field(description="Name of the step in the pipeline.")
    state: StepState = Field(
        StepState.PENDING,
        description=(
            "State of the step. Publishing: its module has ended with exit code 0, and its products are not visible "
            "yet. Reused: what it would make was published before."
        ),
    )
    attempt: int = Field(0, ge=0, description="Number of the latest attempt; 0 if none has begun.")
    job: ResourceName | None = Field(None, description="Job of the latest attempt; it may have been deleted since.")
    reason: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Why the step failed, was skipped or is held up, as one CamelCase word."
    )
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="The reason in detail: for a failed module the last lines of its log."
    )
    exit_code: int | None = Field(
        None, description="Exit code of the module in the latest attempt; not set if it did not end by itself."
    )
    retries: dict[Annotated[str, Field(max_length=32)], Annotated[int, Field(ge=0)]] | None = Field(
        None, max_length=8, description="Retries since the latest rerun, by class of failure."
    )
    digest: Sha256 | None = Field(
        None, description="SHA-256 over the paths and digests of the published outputs, as in the manifest."
    )
    missing: list[ProductName] | None = Field(
        None, max_length=64, description="Optional outputs that the module did not write; not set if it wrote all."
    )
    started_at: Timestamp | None = Field(None, description="When the latest attempt of the step began, in UTC.")
    finished_at: Timestamp | None = Field(
        None, description="When the latest attempt ended, or the step was skipped or cancelled, in UTC."
    )


class StarProcessingStatus(ApiModel):
    """State of the star as the operator last saw it. Only the operator writes it."""

    state: StarState = Field(
        StarState.PENDING,
        description="State of the star as a whole. Rejected: the spec, or what it refers to, is invalid.",
    )
    observed_generation: int | None = Field(
        None, ge=0, description="The metadata.generation that the status describes."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        json_schema_extra=list_map("type"),
        description=(
            "Accepted: whether spec and pipeline are valid. Complete: whether the star has succeeded, and if not, why."
        ),
    )
    revision: ResourceName | None = Field(
        None, description="ControllerRevision that holds the pipeline and modules with which the star runs."
    )
    progress: Annotated[str, Field(max_length=16)] | None = Field(
        None, description="Steps that are final or whose module has ended well, of all steps, such as 5/7."
    )
    step: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Steps that are running; if none is, those that wait to be published, or that failed."
    )
    steps: list[StepStatus] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra=ATOMIC_LIST,
        description="State of every step of the pipeline.",
    )
    facts: dict[StepName, Facts] = Field(
        default_factory=dict,
        max_length=64,
        json_schema_extra=ATOMIC_MAP,
        description="Facts that published steps reported, by step and name.",
    )
    inputs: dict[ProductName, Sha256] = Field(
        default_factory=dict,
        max_length=64,
        description="SHA-256 of the external products that were read, by name.",
        json_schema_extra=ATOMIC_MAP,
    )
    rerun: int | None = Field(
        None, ge=0, description="The spec.rerun.id that was carried out last; not set if none was."
    )
    started_at: Timestamp | None = Field(
        None, description="When the first step began, or the latest rerun was taken up, in UTC."
    )
    finished_at: Timestamp | None = Field(None, description="When the star reached its final state, in UTC.")


_FINAL = ", ".join(f"'{state.value}'" for state in StarState if state.final)
# What a final star was made with stays visible in its spec.
_UNCHANGED = " && ".join(
    f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"
    for new, old in ((f"self.spec.{one}", f"oldSelf.spec.{one}") for one in ("parameters", "inputs"))
)


class StarProcessing(ApiModel):
    """The processing of one star by one pipeline."""

    model_config = {
        "json_schema_extra": cel_rules(
            (
                "!has(oldSelf.status) || !has(oldSelf.status.state) || "
                f"!(oldSelf.status.state in [{_FINAL}]) || ({_UNCHANGED}) || "
                "(has(self.spec.rerun) && (!has(oldSelf.spec.rerun) || self.spec.rerun.id > oldSelf.spec.rerun.id))",
                "parameters and inputs of a final star change only together with a higher spec.rerun.id, which runs "
                "the steps concerned",
            ),
        )
    }

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarProcessing"] = "StarProcessing"
    metadata: ObjectMeta
    spec: StarProcessingSpec
    status: StarProcessingStatus = Field(default_factory=StarProcessingStatus)
