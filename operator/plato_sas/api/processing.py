"""StarProcessing: one star through one pipeline."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, WithJsonSchema

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    IMMUTABLE,
    ApiModel,
    PathName,
    ProductName,
    ResourceName,
    Scalar,
    Sha256,
    StepName,
    Timestamp,
    VariableName,
    VolumePath,
    list_map,
)
from plato_sas.api.meta import Condition, ObjectMeta


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
    def finished(self) -> bool:
        """Nothing will happen any more unless somebody changes the spec (or what was wrong with it)."""
        return self in (StarState.SUCCEEDED, StarState.FAILED, StarState.CANCELLED, StarState.REJECTED)


class StepState(StrEnum):
    """One step of a star."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    SKIPPED = "Skipped"
    REUSED = "Reused"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def final(self) -> bool:
        return self not in (StepState.PENDING, StepState.RUNNING)

    @property
    def published(self) -> bool:
        """Its products are in the product tree."""
        return self in (StepState.SUCCEEDED, StepState.REUSED)


class InputFile(ApiModel):
    """Where an external product of this star is, if not at the pipeline's path."""

    path: VolumePath | None = Field(None, description="File below the inputs volume.")
    sha256: Sha256 | None = Field(None, description="Verified before any module sees the file.")


class StarProcessingSpec(ApiModel):
    """One star, one campaign, one pipeline."""

    star: PathName = Field(json_schema_extra=IMMUTABLE)
    campaign: PathName = Field(json_schema_extra=IMMUTABLE)
    pipeline: ResourceName = Field(json_schema_extra=IMMUTABLE)
    parameters: dict[StepName, Annotated[dict[VariableName, Scalar], Field(max_length=64)]] = Field(
        default_factory=dict, max_length=64, description="Values for the parameters of each step's module."
    )
    inputs: dict[ProductName, InputFile] = Field(
        default_factory=dict, max_length=64, description="Overrides for the pipeline's externals."
    )
    priority: int = Field(0, ge=-1000, le=1000, description="Stars of higher priority are started first.")
    desired_state: DesiredState = Field(
        DesiredState.RUN,
        description="Suspend: no new Jobs, running ones finish. Cancel: running Jobs are stopped.",
    )


FactValue = Annotated[
    StrictBool | StrictInt | StrictFloat | StrictStr,
    WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True}),
]
Facts = dict[VariableName, FactValue]


class StepStatus(ApiModel):
    """One step's state; products and facts of an unfinished step do not exist."""

    name: StepName
    state: StepState = StepState.PENDING
    attempt: int = Field(0, ge=0, description="Attempts begun.")
    reason: Annotated[str, Field(max_length=64)] | None = None
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="Why the step failed or was skipped; a failed module's last log lines."
    )
    exit_code: int | None = None
    retries: dict[Annotated[str, Field(max_length=32)], Annotated[int, Field(ge=0)]] | None = Field(
        None, max_length=8, description="Attempts made again, by class of failure."
    )
    digest: Sha256 | None = Field(None, description="SHA-256 over the published outputs' digests.")
    missing: list[ProductName] | None = Field(
        None, max_length=64, description="Optional outputs that the module did not write."
    )
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class StarProcessingStatus(ApiModel):
    """What the operator knows of the star; written by the operator alone."""

    state: StarState = StarState.PENDING
    observed_generation: int | None = Field(None, ge=0)
    conditions: list[Condition] = Field(default_factory=list, max_length=8, json_schema_extra=list_map("type"))
    revision: ResourceName | None = Field(
        None, description="ControllerRevision that holds the graph and modules this star runs with."
    )
    progress: Annotated[str, Field(max_length=16)] | None = Field(None, description="Finished steps / steps.")
    step: Annotated[str, Field(max_length=64)] | None = Field(None, description="Running or failed step.")
    steps: list[StepStatus] = Field(default_factory=list, max_length=64, json_schema_extra=BY_NAME)
    facts: dict[StepName, Facts] = Field(default_factory=dict, max_length=64)
    inputs: dict[ProductName, Sha256] = Field(
        default_factory=dict, max_length=64, description="SHA-256 of the external products that were read."
    )
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class StarProcessing(ApiModel):
    """One star through one pipeline."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarProcessing"] = "StarProcessing"
    metadata: ObjectMeta
    spec: StarProcessingSpec
    status: StarProcessingStatus = Field(default_factory=StarProcessingStatus)
