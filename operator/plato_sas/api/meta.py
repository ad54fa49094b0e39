"""The parts of Kubernetes' own types that the models refer to."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from plato_sas.api.base import ApiModel, Timestamp


class ObjectMeta(ApiModel):
    """Object metadata; the API server owns its schema, so fields not named here pass through."""

    model_config = ConfigDict(extra="allow")

    name: str = ""
    namespace: str | None = None
    uid: str | None = None
    generation: int | None = None
    resource_version: str | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, Any] = Field(default_factory=dict)


class Condition(ApiModel):
    """A condition as in the Kubernetes API conventions (meta/v1 Condition)."""

    type: str = Field(
        pattern=r"^[A-Z][A-Za-z]*$", max_length=64, description="Accepted: the spec can run. Complete: it succeeded."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(pattern=r"^[A-Z][A-Za-z]*$", max_length=64, description="Why, as one word for programs.")
    message: str = Field("", max_length=2048, description="Why, for people.")
    observed_generation: int | None = Field(None, ge=0, description="The generation of the spec that this is about.")
    last_transition_time: Timestamp = Field(description="When the status changed last.")
