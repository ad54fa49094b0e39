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

    type: str = Field(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)
    message: str = Field("", max_length=2048)
    observed_generation: int | None = Field(None, ge=0)
    last_transition_time: Timestamp
