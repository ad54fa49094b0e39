"""ScienceModule: how one Docker science module is run."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    ApiModel,
    Argument,
    Duration,
    FileName,
    ProductName,
    Quantity,
    Scalar,
    Text,
    VariableName,
    cel_rules,
)
from plato_sas.api.meta import ObjectMeta


class ValueType(StrEnum):
    """The type of a fact, a parameter or a value of a product."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"


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
    max_size: Quantity | None = Field(
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
    unit: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="Physical unit as in FITS, such as uHz; none if not set. Nothing converts it."
    )
    description: Text | None = Field(None, description="What the fact means, for readers; optional.")


class ParameterDeclaration(ApiModel):
    """A value that a pipeline or a StarProcessing may set; it reaches the module in `/sas/params.json`."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("!has(self.enum) || self.type == 'string'", "enum is for parameters of type string"),
            (
                "!(has(self.minimum) || has(self.maximum)) || self.type in ['integer', 'number']",
                "minimum and maximum are for parameters of type integer or number",
            ),
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
    unit: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="Physical unit, for readers; none if not set. Nothing converts it."
    )
    description: Text | None = Field(None, description="What the parameter does, for readers; optional.")


class ModuleResources(ApiModel):
    """CPU, memory and scratch space of the module's container."""

    cpu: Quantity = Field(
        "500m", description="CPU request, in cores or millicores (m). The module may use idle CPU beyond it."
    )
    memory: Quantity = Field("512Mi", description="Memory request and limit of the first attempt, in bytes.")
    memory_cap: Quantity | None = Field(
        None,
        description=(
            "Largest memory limit, in bytes: each retry after an out-of-memory kill doubles memory up to this. If not "
            "set, such a kill is final."
        ),
    )
    scratch: Quantity = Field(
        "1Gi", description="Size limit of /tmp, in bytes. A module that exceeds it is evicted and fails."
    )


class ModuleRetry(ApiModel):
    """How often a failed attempt is retried."""

    temporary: int = Field(3, ge=0, le=20, description="Retries after exit code 75 (temporary failure).")


class ScienceModuleSpec(ApiModel):
    """The image, and what goes into and comes out of it."""

    description: Text | None = Field(None, description="What the module computes; a column of `kubectl get scimod`.")
    image: Annotated[str, Field(pattern=r"^\S+$", max_length=512)] = Field(
        description=(
            "Image reference, preferably with a digest (name@sha256:...). Products of an image without a digest are "
            "reused by the same StarProcessing only."
        )
    )
    version: Annotated[str, Field(min_length=1, max_length=64)] = Field(
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
