"""A batch: its stars, the names of their resources, and the resources' content. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from plato_sas.api import API_VERSION, DesiredState, StarProcessing
from plato_sas_airflow.errors import BatchError, listed
from plato_sas_airflow.kube.names import joined_name
from plato_sas_airflow.kube.resource import (
    BATCH_LABEL,
    CAMPAIGN_LABEL,
    CLAIM_ANNOTATION,
    STAR_LABEL,
    TASK_ANNOTATION,
    Resource,
)
from plato_sas_airflow.stars.fields import problems
from plato_sas_airflow.stars.star import Star
from plato_sas_airflow.stars.values import Parameters, overlaid


def resource_name(star: str, campaign: str) -> str:
    """The name of a star's resource. Two stars that differ in case alone share it, which `Batch.named` refuses."""
    return joined_name(star, campaign, unique=True)


def batch_id(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """A valid label value, the same for every try of one task instance."""
    digest = hashlib.sha256("\0".join((dag_id, run_id, task_id, str(map_index))).encode()).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", dag_id)[:50].strip("-_.")
    return f"{readable}-{digest}" if readable else digest


@dataclass(frozen=True)
class Batch:
    """The stars of one task instance.

    `id`: value of the batch label. `claim`: the batch and the task's try; whoever applied a star last holds its claim,
    and only the holder may cancel it. `origin`: the task, for people who read the resource. The other fields are those
    of a StarProcessing's spec, for every star of the batch.
    """

    id: str
    namespace: str
    campaign: str
    pipeline: str
    stars: Sequence[Star]
    parameters: Parameters = field(default_factory=dict)
    priority: int = 0
    previous_campaign: str | None = None
    stages: str | None = None
    deadline: str | None = None
    ttl: str | None = None
    try_number: int = 1
    origin: str = ""

    @property
    def claim(self) -> str:
        return f"{self.id}/{self.try_number}"

    def names(self) -> dict[str, str]:
        """Resource name to the star's name. Raises BatchError if two stars would share a name."""
        return {name: star.name for name, star in self.named().items()}

    def resources(self) -> dict[str, Resource]:
        """Resource name to resource. Raises BatchError naming the first ten stars that are not valid."""
        made, wrong = {}, []
        for name, star in self.named().items():
            spec = self.spec(star)
            found = problems(spec)
            if found:
                wrong.append(f"star {star.name!r}: {found[0]}")
            made[name] = self._resource(name, star, spec)
        if wrong:
            raise BatchError(listed(wrong))
        return made

    def spec(self, star: Star) -> dict[str, Any]:
        """The star's spec, except its desired state and rerun.

        Fields with default values are left out, so that others may own and set them.
        """
        given = {
            "parameters": self.parameters_of(star),
            "inputs": star.inputs,
            "previousCampaign": self.previous_campaign,
            "stages": self.stages,
            "priority": self.priority if star.priority is None else star.priority,
            "deadline": self.deadline,
            "ttl": self.ttl,
        }
        spec = {"star": star.name, "campaign": self.campaign, "pipeline": self.pipeline}
        return {**spec, **{key: value for key, value in given.items() if value}}

    def parameters_of(self, star: Star) -> Parameters:
        """The batch's parameters, overridden by the star's own."""
        return overlaid(self.parameters, star.parameters) if star.parameters else self.parameters

    def named(self) -> dict[str, Star]:
        """Resource name to star. Raises BatchError if two stars would share a name."""
        named: dict[str, Star] = {}
        for star in self.stars:
            name = resource_name(star.name, self.campaign)
            if name in named:
                raise BatchError(
                    f"stars: {named[name].name!r} and {star.name!r} would both be the StarProcessing {name}"
                )
            named[name] = star
        return named

    def _resource(self, name: str, star: Star, spec: dict[str, Any]) -> Resource:
        labels = {BATCH_LABEL: self.id, STAR_LABEL: star.name, CAMPAIGN_LABEL: self.campaign}
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
        """As JSON. Only the stars grow with the size of the batch."""
        optional = {
            "parameters": self.parameters,
            "priority": self.priority,
            "previous_campaign": self.previous_campaign,
            "stages": self.stages,
            "deadline": self.deadline,
            "ttl": self.ttl,
        }
        return {
            "id": self.id,
            "namespace": self.namespace,
            "campaign": self.campaign,
            "pipeline": self.pipeline,
            "stars": [star.serialize() for star in self.stars],
            "try_number": self.try_number,
            "origin": self.origin,
            **{key: value for key, value in optional.items() if value},
        }

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "stars": [Star.deserialize(one) for one in data["stars"]]})
