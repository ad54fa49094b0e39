"""The parts of Kubernetes' own types that the models use."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from plato_sas.api.base import ApiModel, Timestamp


class ObjectMeta(ApiModel):
    """Object metadata. The API server owns its schema, so other fields than these pass through."""

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
    """One aspect of the resource's state, as in the Kubernetes API conventions (meta/v1 Condition)."""

    type: str = Field(
        pattern=r"^[A-Z][A-Za-z]*$",
        max_length=64,
        description="Accepted: the spec and what it refers to are valid. Complete: the work has succeeded.",
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.")
    reason: str = Field(
        pattern=r"^[A-Z][A-Za-z0-9]*$",
        max_length=64,
        description="Why the condition has this status, as one CamelCase word.",
    )
    message: str = Field("", max_length=2048, description="The same for people, with details; empty if there are none.")
    observed_generation: int | None = Field(
        None, ge=0, description="The metadata.generation for which the condition was determined."
    )
    last_transition_time: Timestamp = Field(description="When status last changed, in UTC.")
