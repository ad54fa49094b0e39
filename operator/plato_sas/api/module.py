"""ScienceModule: the catalogue entry of one Docker science module."""

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
    """The type of a fact or a parameter."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"


class ModuleInput(ApiModel):
    """A file that the module reads at `/sas/in/<name>`."""

    name: ProductName = Field(description="Identifier of the product, and the file's name in /sas/in.")
    optional: bool = Field(False, description="The module can do without it: then no file is there.")
    description: Text | None = Field(None, description="What the product is, for people.")


class ModuleOutput(ApiModel):
    """A file that the module writes at `/sas/out/<path>`."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("!has(self.path) || self.path != 'manifest.json'", "manifest.json is the manager's own file")
        )
    }

    name: ProductName = Field(description="Identifier of the product.")
    path: FileName | None = Field(None, description="File name in /sas/out; <name>.h5 if not given.")
    optional: bool = Field(False, description="The module may end well without it.")
    description: Text | None = Field(None, description="What the product is, for people.")

    @property
    def file_name(self) -> str:
        return self.path or f"{self.name}.h5"


class FactDeclaration(ApiModel):
    """A small value that the module reports in `/sas/out/facts.json`."""

    name: VariableName = Field(description="Its key in facts.json; conditions read it as facts['<step>'].<name>.")
    type: ValueType
    unit: Annotated[str, Field(max_length=32)] | None = Field(None, description="Unit of a number, for people.")
    description: Text | None = Field(None, description="What the fact says, for people.")


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

    name: VariableName = Field(description="Its key in params.json.")
    type: ValueType
    default: Scalar = Field(description='Written as a string or an integer ("3.5", 3, "true").')
    minimum: Scalar | None = Field(None, description="Smallest number that is accepted; no limit if not given.")
    maximum: Scalar | None = Field(None, description="Largest number that is accepted; no limit if not given.")
    enum: list[Annotated[str, Field(max_length=64)]] | None = Field(
        None, min_length=1, max_length=32, description="The strings that are accepted; any if not given."
    )
    unit: Annotated[str, Field(max_length=32)] | None = Field(None, description="Unit of a number, for people.")
    description: Text | None = Field(None, description="What the parameter does, for people.")


class ModuleResources(ApiModel):
    """What one run of the module is given."""

    cpu: Quantity = Field("500m", description="CPU request; the module may use idle CPU beyond it.")
    memory: Quantity = Field("512Mi", description="Memory request and limit of the first attempt.")
    memory_cap: Quantity | None = Field(None, description="How far the memory may grow after an OOM kill.")
    scratch: Quantity = Field("1Gi", description="Size limit of /tmp.")


class ModuleRetry(ApiModel):
    """How often a failed attempt is made again, by class of failure."""

    temporary: int = Field(3, ge=0, le=20, description="After exit code 75.")


class ScienceModuleSpec(ApiModel):
    """Everything the manager needs to know of an image."""

    description: Text | None = Field(None, description="What the module does, for people.")
    image: Annotated[str, Field(pattern=r"^\S+$", max_length=512)] = Field(
        description="Image reference, best with a digest (name@sha256:...)."
    )
    version: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="The module's own version. It is part of what decides whether a step is run again."
    )
    command: list[Argument] | None = Field(None, max_length=32, description="Replaces the image's entry point.")
    args: list[Argument] | None = Field(
        None, max_length=64, description="Arguments of the command; the image's own if not given."
    )
    inputs: list[ModuleInput] = Field(
        default_factory=list,
        max_length=64,
        description="The products that the module reads.",
        json_schema_extra=BY_NAME,
    )
    outputs: list[ModuleOutput] = Field(
        min_length=1, max_length=64, description="The products that the module writes.", json_schema_extra=BY_NAME
    )
    facts: list[FactDeclaration] = Field(
        default_factory=list,
        max_length=16,
        description="What the module reports in facts.json; conditions of later steps can use it.",
        json_schema_extra=BY_NAME,
    )
    parameters: list[ParameterDeclaration] = Field(
        default_factory=list,
        max_length=64,
        description="What a pipeline or a StarProcessing may set; no other name is accepted.",
        json_schema_extra=BY_NAME,
    )
    resources: ModuleResources = Field(default_factory=lambda: ModuleResources())
    timeout: Duration = Field("1h", description="How long one run may take; at most 30 days.")
    retry: ModuleRetry = Field(default_factory=lambda: ModuleRetry())


class ScienceModule(ApiModel):
    """A science module of the catalogue."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["ScienceModule"] = "ScienceModule"
    metadata: ObjectMeta
    spec: ScienceModuleSpec
