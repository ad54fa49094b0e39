"""ScienceModule: how one Docker science module is run."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    MEMORY_RULE,
    ApiModel,
    Argument,
    Bytes,
    Cores,
    Duration,
    FileName,
    ImageName,
    ModuleVersion,
    ProductName,
    Scalar,
    Text,
    Unit,
    VariableName,
    amount,
    cel_rules,
    check_memory,
)
from plato_sas.api.meta import ObjectMeta
from plato_sas.api.values import ValueInvalid, ValueType, typed


class ModuleInput(ApiModel):
    """A file that the module reads at `/sas/in/<name>`."""

    name: ProductName = Field(description="PLATO product identifier, which is also the file's name in /sas/in.")
    optional: bool = Field(
        False, description="Whether the module also runs without it. An absent input has no file in /sas/in."
    )
    description: Text | None = Field(None, description="What the product contains, for readers; optional.")


class ModuleOutput(ApiModel):
    """A file that the module writes at `/sas/out/<path>`."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("!has(self.path) || self.path != 'manifest.json'", "the path manifest.json is reserved")
        )
    }

    name: ProductName = Field(
        description="PLATO product identifier by which steps, catalogues and manifests refer to it."
    )
    path: FileName | None = Field(
        None, description="File name in /sas/out and in the product folder; `<name>.h5` if not set."
    )
    optional: bool = Field(
        False, description="Whether the module may succeed without writing it. A missing required output is a failure."
    )
    max_size: Bytes | None = Field(
        None,
        description=(
            "Largest size of the file, in bytes; the site's `modules.maxOutputSize` if not set. A larger output fails "
            "the step, and is not read."
        ),
    )
    description: Text | None = Field(None, description="What the product contains, for readers; optional.")

    @property
    def file_name(self) -> str:
        return self.path or f"{self.name}.h5"


class FactDeclaration(ApiModel):
    """A small value that the module reports in `/sas/out/facts.json`."""

    name: VariableName = Field(description="Key in facts.json, and in `facts['<step>'].<name>` of a condition.")
    type: ValueType = Field(
        description=(
            "Type of the value: an integer has 64 bits, a number is finite, a string has at most 128 characters. A "
            "report of another type fails the step."
        )
    )
    unit: Unit | None = Field(
        None, description="Physical unit as in FITS, such as uHz; none if not set. Nothing converts it."
    )
    description: Text | None = Field(None, description="What the fact means, for readers; optional.")


_ENUM_ONLY = "enum is for parameters of type string"
_BOUNDS_ONLY = "minimum and maximum are for parameters of type integer or number"
_OF_TYPE = "must be of the parameter's type, such as 1000, '0.5' or 'true'"
_BOUNDS = {
    ("minimum", "maximum"): "minimum must not be larger than maximum",
    ("minimum", "default"): "default must not be smaller than minimum",
    ("default", "maximum"): "default must not be larger than maximum",
}
_IN_ENUM = "default must be one of enum"


# Conversions instead of patterns, which would exceed the cost limit of Kubernetes 1.31: to it the length of an
# int-or-string is unlimited. A failed conversion is reported with the rule's message.


def _of_type(field: str) -> str:
    """CEL: the field is not set, or of the parameter's type."""
    return (
        f"!has(self.{field}) || (self.type == 'integer' ? type(int(self.{field})) == int : "
        f"self.type == 'number' ? double(self.{field}) - double(self.{field}) == 0.0 : "
        f"self.type == 'boolean' ? self.{field} == 'true' || self.{field} == 'false' : true)"
    )


def _in_order(low: str, high: str) -> str:
    """CEL: one field is not larger than the other, or not set."""
    return (
        f"!has(self.{low}) || !has(self.{high}) || (self.type == 'integer' ? int(self.{low}) <= int(self.{high}) : "
        f"self.type == 'number' ? double(self.{low}) <= double(self.{high}) : true)"
    )


class ParameterDeclaration(ApiModel):
    """A value that a pipeline or a StarProcessing may set; it reaches the module in `/sas/params.json`."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("!has(self.enum) || self.type == 'string'", _ENUM_ONLY),
            ("!(has(self.minimum) || has(self.maximum)) || self.type in ['integer', 'number']", _BOUNDS_ONLY),
            *((_of_type(field), f"{field} {_OF_TYPE}") for field in ("default", "minimum", "maximum")),
            *((_in_order(*fields), message) for fields, message in _BOUNDS.items()),
            ("!has(self.enum) || type(self.default) == int || self.default in self.enum", _IN_ENUM),
        )
    }

    name: VariableName = Field(description="Key in params.json, and in the parameters of a pipeline and a star.")
    type: ValueType = Field(
        description="Type of the value. Values of another type are rejected before anything starts."
    )
    default: Scalar = Field(
        description='Value if neither the pipeline nor the star sets one. Written as a string or an integer ("3.5", 3, '
        '"true").'
    )
    minimum: Scalar | None = Field(
        None, description="Smallest allowed value, of an integer or number; no limit if not set."
    )
    maximum: Scalar | None = Field(
        None, description="Largest allowed value, of an integer or number; no limit if not set."
    )
    enum: list[Annotated[str, Field(max_length=64)]] | None = Field(
        None, min_length=1, max_length=32, description="Allowed values of a string; any if not set."
    )
    unit: Unit | None = Field(None, description="Physical unit, for readers; none if not set. Nothing converts it.")
    description: Text | None = Field(None, description="What the parameter does, for readers; optional.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Raises ValueError, naming the parameter, if the fields contradict each other."""
        problem = self._contradiction()
        if problem is not None:
            raise ValueError(f"{self.name}: {problem}")
        return self

    def _contradiction(self) -> str | None:
        if self.enum is not None and self.type is not ValueType.STRING:
            return _ENUM_ONLY
        bounded = self.minimum is not None or self.maximum is not None
        if bounded and self.type not in (ValueType.INTEGER, ValueType.NUMBER):
            return _BOUNDS_ONLY
        written = {"default": self.default, "minimum": self.minimum, "maximum": self.maximum}
        values: dict[str, Any] = {}
        for field, value in written.items():
            try:
                values |= {field: typed(self.type, value)} if value is not None else {}
            except ValueInvalid as error:
                return f"{field} {_OF_TYPE}: {error}"
        for (low, high), message in _BOUNDS.items():
            if low in values and high in values and values[low] > values[high]:
                return f"{message}: {low} is {written[low]}, {high} is {written[high]}"
        if self.enum is not None and values["default"] not in self.enum:
            return f"{_IN_ENUM}: {self.default!r} is not"
        return None


_CAP_RULE = (
    "!has(self.memoryCap) || !isQuantity(self.memoryCap) || !has(self.memory) || !isQuantity(self.memory) || "
    "quantity(self.memoryCap).compareTo(quantity(self.memory)) >= 0",
    "memoryCap must not be smaller than memory",
)


class ModuleResources(ApiModel):
    """CPU, memory and scratch space of the module's container."""

    model_config = {"json_schema_extra": cel_rules(MEMORY_RULE, _CAP_RULE)}

    cpu: Cores = Field(
        "500m", description="CPU request, in cores or millicores (m). The module may use idle CPU beyond it."
    )
    memory: Bytes = Field("512Mi", description="Memory request and limit of the first attempt, in bytes.")
    memory_cap: Bytes | None = Field(
        None,
        description=(
            "Largest memory limit, in bytes: each retry after an out-of-memory kill doubles memory up to this. If not "
            "set, such a kill is final."
        ),
    )
    scratch: Bytes = Field(
        "1Gi", description="Size limit of /tmp, in bytes. A module that exceeds it is evicted and fails."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Raises ValueError if the fields contradict each other."""
        check_memory(self.memory)
        if self.memory_cap is not None and amount(self.memory_cap) < amount(self.memory):
            raise ValueError(f"{_CAP_RULE[1]}: {self.memory_cap} is less than {self.memory}")
        return self


class ModuleRetry(ApiModel):
    """How often a failed attempt is retried."""

    temporary: int = Field(3, ge=0, le=20, description="Retries after exit code 75 (temporary failure).")


class ScienceModuleSpec(ApiModel):
    """The image, and what goes into and comes out of it."""

    description: Text | None = Field(None, description="What the module computes; a column of `kubectl get scimod`.")
    image: ImageName = Field(
        description=(
            "Image reference, preferably with a digest (name@sha256:...). Products of an image without a digest are "
            "reused by the same StarProcessing only."
        )
    )
    version: ModuleVersion = Field(
        description=(
            "Version of the module, recorded in manifests. A new version alone does not run published steps again."
        )
    )
    command: list[Argument] | None = Field(
        None, max_length=32, description="Program and first arguments; the image's entry point if not set."
    )
    args: list[Argument] | None = Field(
        None,
        max_length=64,
        description="Arguments of the command; if not set, the image's CMD (none if command is set).",
    )
    inputs: list[ModuleInput] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra=BY_NAME,
        description="Files that the module reads; none if empty.",
    )
    outputs: list[ModuleOutput] = Field(
        min_length=1,
        max_length=64,
        json_schema_extra=BY_NAME,
        description="Files that the module writes. Others are removed.",
    )
    facts: list[FactDeclaration] = Field(
        default_factory=list,
        max_length=16,
        json_schema_extra=BY_NAME,
        description=(
            "Values that the module may report, for conditions, catalogues and the star's status; none if empty."
        ),
    )
    parameters: list[ParameterDeclaration] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra=BY_NAME,
        description="Values that a pipeline or a star may set; none if empty.",
    )
    resources: ModuleResources = Field(
        default_factory=lambda: ModuleResources(),
        description="CPU, memory and scratch space of the module's container.",
    )
    timeout: Duration = Field(
        "1h",
        description=(
            "Longest run of one attempt, from the start of its container, such as 90s, 20m or 2h; at most 30 days. "
            "Afterwards the module is stopped and the step fails."
        ),
    )
    retry: ModuleRetry = Field(
        default_factory=lambda: ModuleRetry(),
        description="How often failed attempts are retried; only the number for temporary failures can be set.",
    )


class ScienceModule(ApiModel):
    """A Docker science module: image, inputs, outputs, facts, parameters and resources."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["ScienceModule"] = "ScienceModule"
    metadata: ObjectMeta
    spec: ScienceModuleSpec
