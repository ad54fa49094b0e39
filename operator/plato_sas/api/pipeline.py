"""StarPipeline: the graph of steps that a star goes through."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    ApiModel,
    ProductName,
    ResourceName,
    Scalar,
    StepName,
    Text,
    VariableName,
    VolumePath,
    cel_rules,
)
from plato_sas.api.meta import ObjectMeta


class StageMode(StrEnum):
    """How steps become Jobs."""

    FUSED = "Fused"
    PER_STEP = "PerStep"


class ExternalInput(ApiModel):
    """A product that comes from outside the pipeline, on the inputs volume."""

    name: ProductName = Field(description="Identifier of the product; steps refer to it as `external`.")
    path: VolumePath = Field(description="File below the inputs volume; {star} and {campaign} are filled in.")
    description: Text | None = Field(None, description="What the product is, for people.")


class StepInput(ApiModel):
    """Where one input of a step's module comes from: outside, another step, or the campaign before."""

    model_config = {
        "json_schema_extra": cel_rules(
            (
                "[has(self.external), has(self.step), has(self.previous)].filter(given, given).size() == 1",
                "exactly one of external, step and previous must be given",
            ),
            ("!has(self.output) || !has(self.external)", "output goes with step or previous"),
        )
    }

    name: ProductName = Field(description="The module's input.")
    external: ProductName | None = Field(
        None, description="An entry of the pipeline's externals: a file of the inputs volume."
    )
    step: StepName | None = Field(
        None, description="The step of this star that makes it. A failed one stops this step."
    )
    previous: StepName | None = Field(
        None,
        description="The step whose product of the previous campaign (spec.previousCampaign of the star) it is, in the "
        "same pipeline. It may be this step, or one downstream.",
    )
    output: ProductName | None = Field(None, description="That step's output; the input's name if not given.")
    optional: bool | None = Field(
        None, description="Whether the step runs without it; what the module says if not given."
    )


class PipelineStep(ApiModel):
    """One step: a module, its inputs, and when it runs."""

    name: StepName = Field(description="The step's name, and that of the folder with its products.")
    module: ResourceName = Field(description="Name of the ScienceModule that the step runs.")
    inputs: list[StepInput] = Field(
        default_factory=list,
        max_length=64,
        description="Where each of the module's inputs comes from; a required one must be named.",
        json_schema_extra=BY_NAME,
    )
    when: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None,
        description="The step runs only where this is true: CEL of type bool over facts of other steps, such as "
        "facts['msap3-03'].osc_detection_flag.",
    )
    parameters: dict[VariableName, Scalar] = Field(
        default_factory=dict, max_length=64, description="Values for the module's parameters."
    )


class StarPipelineSpec(ApiModel):
    """The graph."""

    description: Text | None = Field(None, description="What the pipeline does, for people.")
    stages: StageMode = Field(
        StageMode.FUSED,
        description="Fused: as many steps in one Job as can be decided at once. PerStep: a Job for every step.",
    )
    externals: list[ExternalInput] = Field(
        default_factory=list,
        max_length=64,
        description="Products that come from outside, on the inputs volume.",
        json_schema_extra=BY_NAME,
    )
    steps: list[PipelineStep] = Field(
        min_length=1,
        max_length=64,
        description="The steps in any order; their inputs and conditions say what depends on what.",
        json_schema_extra=BY_NAME,
    )


class StarPipeline(ApiModel):
    """A pipeline: steps, their modules, inputs and conditions."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarPipeline"] = "StarPipeline"
    metadata: ObjectMeta
    spec: StarPipelineSpec
