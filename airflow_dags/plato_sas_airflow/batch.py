"""What a batch is: its stars, the names of their resources, and what is written into them. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError

from plato_sas.api import API_VERSION, GROUP, DesiredState, StarProcessing, StarProcessingSpec

FIELD_MANAGER = "plato-sas-airflow"
BATCH_LABEL = f"{GROUP}/batch"
STAR_LABEL = f"{GROUP}/star"
CAMPAIGN_LABEL = f"{GROUP}/campaign"
CLAIM_ANNOTATION = f"{GROUP}/claim"
TASK_ANNOTATION = f"{GROUP}/airflow-task"

# 63 is the limit of a label value; 11 characters are left for what is named after the star's resource.
_NAME_LENGTH = 52
_HASH_LENGTH = 8

Resource = dict[str, Any]


class BatchError(ValueError):
    """The batch as a whole, or one of its stars, is not valid."""


def resource_name(star: str, campaign: str) -> str:
    """The name of the star's resource: `<star>-<campaign>` in lower case.

    Where that is not one-to-one (a character had to be replaced, the star's own hyphen could be the separator, or it
    was cut to 52 characters) a short hash of both is appended.
    """
    plain = f"{star}-{campaign}".lower()
    name = re.sub(r"[^a-z0-9-]", "-", plain)
    if name == plain and "-" not in star and len(name) <= _NAME_LENGTH:
        return name
    digest = hashlib.sha256(f"{star}\0{campaign}".encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: _NAME_LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{digest}"


def batch_id(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """The value of the batch's label: the same for every try of one task instance, and a valid label value."""
    digest = hashlib.sha256("\0".join((dag_id, run_id, task_id, str(map_index))).encode()).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", dag_id)[:50].strip("-_.")
    return f"{readable}-{digest}" if readable else digest


def stars_of(value: object) -> list[str]:
    """The stars of a list, or of the JSON text of one (what a template renders to); duplicates are dropped.

    Raises BatchError for anything else.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise BatchError(f"stars: neither a list nor the JSON text of one: {str(value)[:80]!r}") from error
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        raise BatchError(f"stars: a list of star identifiers is wanted, not {type(value).__name__}")
    stars = list(value)
    for star in stars:
        if not isinstance(star, str):
            raise BatchError(f"stars: {star!r} is not a text")
    if not stars:
        raise BatchError("stars: the list is empty")
    return list(dict.fromkeys(stars))


@dataclass(frozen=True)
class Batch:
    """The stars of one task instance.

    `id`: value of the batch label. `claim`: the batch and the task's try; whoever applied a star last holds its claim,
    and only the holder may cancel it. `origin`: the task, for people who look at the resource.
    """

    id: str
    namespace: str
    campaign: str
    pipeline: str
    stars: list[str]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    priority: int = 0
    try_number: int = 1
    origin: str = ""

    @property
    def claim(self) -> str:
        return f"{self.id}/{self.try_number}"

    def names(self) -> dict[str, str]:
        """Resource name to star. Raises BatchError if two stars would share a name."""
        names: dict[str, str] = {}
        for star in self.stars:
            name = resource_name(star, self.campaign)
            if name in names:
                raise BatchError(f"stars: {names[name]!r} and {star!r} would both be the StarProcessing {name}")
            names[name] = star
        return names

    def resources(self) -> dict[str, Resource]:
        """Resource name to what is applied. Raises BatchError naming every star that is not valid (the first ten)."""
        made, wrong = {}, []
        for name, star in self.names().items():
            try:
                made[name] = self._resource(name, star)
            except ValidationError as error:
                wrong.append(f"star {star!r}: {_first_error(error)}")
        if wrong:
            more = f"; and {len(wrong) - 10} more" if len(wrong) > 10 else ""
            raise BatchError("; ".join(wrong[:10]) + more)
        return made

    def _resource(self, name: str, star: str) -> Resource:
        # Fields that are left at their defaults stay out: they are then nobody's, and free for others to set.
        spec: dict[str, Any] = {"star": star, "campaign": self.campaign, "pipeline": self.pipeline}
        if self.parameters:
            spec["parameters"] = self.parameters
        if self.priority:
            spec["priority"] = self.priority
        StarProcessingSpec.model_validate(spec)
        labels = {BATCH_LABEL: self.id, STAR_LABEL: star, CAMPAIGN_LABEL: self.campaign}
        return {
            "apiVersion": API_VERSION,
            "kind": StarProcessing.__name__,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": labels,
                "annotations": {CLAIM_ANNOTATION: self.claim, TASK_ANNOTATION: self.origin},
            },
            "spec": {**spec, "desiredState": DesiredState.RUN.value},
        }

    def serialize(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "namespace": self.namespace,
            "campaign": self.campaign,
            "pipeline": self.pipeline,
            "stars": list(self.stars),
            "parameters": self.parameters,
            "priority": self.priority,
            "try_number": self.try_number,
            "origin": self.origin,
        }

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"
