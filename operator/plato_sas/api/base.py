"""What the models of the API group share: naming and strictness of fields, and the constrained types."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, WithJsonSchema
from pydantic.alias_generators import to_camel

from plato_sas.api import forms

GROUP = "plato-sas.io"
VERSION = "v1alpha1"
API_VERSION: Literal["plato-sas.io/v1alpha1"] = "plato-sas.io/v1alpha1"


class ApiModel(BaseModel):
    """A model whose fields are snake_case in Python and camelCase in YAML; an unknown field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_enum_values=False
    )

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON: camelCase, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def cel_rules(*rules: tuple[str, str]) -> dict[str, Any]:
    """JSON-schema extra that carries CEL rules, given as `(rule, message)`, into the CRD."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


def list_map(key: str) -> dict[str, Any]:
    """JSON-schema extra for a list whose items are identified by `key`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


BY_NAME = list_map("name")
# Owned by one writer and replaced whole, so the API server need not track field ownership inside.
ATOMIC_LIST: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
ATOMIC_MAP: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}
IMMUTABLE = cel_rules(("self == oldSelf", "is immutable"))

# Star and campaign become folder names and label values. Without dots and slashes they cannot form a path.
PathName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,46}[A-Za-z0-9])?$", max_length=48)]
# A step's name becomes a container name, a folder and part of a Job's name.
StepName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", max_length=32)]
ResourceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$", max_length=63)]
# A PLATO product identifier, such as DP3_SAS_NU_MAX.
ProductName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$", max_length=63)]
# Names of facts and parameters are CEL identifiers.
VariableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", max_length=63)]
# A file in a product folder. Hidden names are reserved for the manager's own files.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$", max_length=127)]
# A path relative to a volume's root. {star} and {campaign} are replaced.
VolumePath = Annotated[str, Field(max_length=255), forms.VOLUME_PATH]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
Duration = Annotated[str, Field(max_length=32), forms.DURATION]
Cores = Annotated[str, Field(max_length=20), forms.CORES]
Bytes = Annotated[str, Field(max_length=20), forms.BYTES]
Argument = Annotated[str, Field(max_length=1024), forms.ARGUMENT]
ImageName = Annotated[str, Field(max_length=512), forms.IMAGE]
# A physical unit; it becomes a keyword of a FITS header.
Unit = Annotated[str, Field(max_length=32), forms.UNIT]
ModuleVersion = Annotated[str, Field(max_length=64), forms.VERSION]
# A resource, or a part of one, as JSON has it.
Document = dict[str, Any]

Text = Annotated[str, Field(max_length=1024)]
Timestamp = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
# Fractions are written as strings ("3.5"): the API conventions keep floats out of a spec.
Scalar = Annotated[
    StrictInt | StrictStr,
    Field(union_mode="left_to_right"),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 256}),
]
# Names of any form: one that no module declares is answered with those that it does.
Parameters = Annotated[dict[str, Scalar], Field(max_length=64)]


def parse_time(text: str) -> datetime:
    """Parse a `Timestamp` (RFC 3339), as Kubernetes writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(duration: str) -> int:
    """Convert a `Duration` such as `20m` or `1h30m` to seconds. Raises ValueError if it is none."""
    if re.fullmatch(forms.DURATION.pattern, duration) is None:
        raise ValueError(f"{duration!r} {forms.DURATION.message}")
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", duration))


_MULTIPLIERS = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def amount(quantity: str) -> float:
    """Convert `Cores` or `Bytes` such as `250m` or `2Gi` to a plain number."""
    number = quantity.rstrip("mkKMGTi")
    return float(number) * _MULTIPLIERS[quantity[len(number) :]]


_LEAST_MEMORY = "1Mi"  # a smaller number is mostly one whose unit was forgotten
MEMORY_RULE = (
    f"!has(self.memory) || !isQuantity(self.memory) || "
    f"quantity(self.memory).compareTo(quantity('{_LEAST_MEMORY}')) >= 0",
    f"memory must be at least {_LEAST_MEMORY}",
)


def check_memory(memory: str) -> None:
    """The model's side of MEMORY_RULE. Raises ValueError."""
    if amount(memory) < amount(_LEAST_MEMORY):
        raise ValueError(f"{MEMORY_RULE[1]}, not {memory}")
