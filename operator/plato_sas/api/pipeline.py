"""StarPipeline: the graph of steps that a star goes through."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    ApiModel,
    Parameters,
    ProductName,
    ResourceName,
    StepName,
    Text,
    VolumePath,
    cel_rules,
)
from plato_sas.api.meta import ObjectMeta


class StageMode(StrEnum):
    """How steps are grouped into Jobs."""

    FUSED = "Fused"
    PER_STEP = "PerStep"


class ExternalInput(ApiModel):
    """A product that comes from outside the pipeline, on the inputs volume."""

    name: ProductName = Field(description="Name by which steps, and the inputs of a star, refer to it.")
    path: VolumePath = Field(
        description=(
            "File, relative to the root of the inputs volume; {star} and {campaign} are replaced. A star may name "
            "another one."
        )
    )
    description: Text | None = Field(None, description="What the product contains, for readers; optional.")


class StepInput(ApiModel):
    """Where an input of the module comes from: the inputs volume, another step, or the previous campaign."""

    model_config = {
        "json_schema_extra": cel_rules(
            (
                "[has(self.external), has(self.step), has(self.previous)].filter(given, given).size() == 1",
                "exactly one of external, step and previous must be given",
            ),
            ("!has(self.output) || !has(self.external)", "output goes with step or previous"),
        )
    }

    name: ProductName = Field(description="Input that the module declares.")
    external: ProductName | None = Field(
        None, description="Read it from the inputs volume: the name of an entry of spec.externals."
    )
    step: StepName | None = Field(None, description="Read an output of this step of the same star.")
    previous: StepName | None = Field(
        None,
        description=(
            "Read an output that this step published in the star's previousCampaign. It may be any step of the "
            "pipeline, this one included."
        ),
    )
    output: ProductName | None = Field(
        None, description="Output of `step` or `previous`; the one named like the input if not set."
    )
    optional: bool | None = Field(
        None,
        description=(
            "Whether the step also runs without it; the module's declaration if not set. Only what is optional to the "
            "module can be optional here."
        ),
    )


class PipelineStep(ApiModel):
    """One step: a module, its inputs, and the condition under which it runs."""

    name: StepName = Field(description="Name within the pipeline, such as msap3-03; also the folder of its products.")
    module: ResourceName = Field(description="ScienceModule of the same namespace that the step runs.")
    inputs: list[StepInput] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra=BY_NAME,
        description=(
            "Sources of the module's inputs. Every required input needs one; an optional one without a source is "
            "absent."
        ),
    )
    when: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None,
        description=(
            "CEL expression of type bool over facts of other steps, such as facts['msap3-03'].osc_detection_flag. If "
            "it is false, the step is skipped. If not set, the step always runs."
        ),
    )
    parameters: Parameters = Field(
        default_factory=dict,
        description="Values of the module's parameters, by name; the module's defaults for the others.",
    )


class StarPipelineSpec(ApiModel):
    """The steps of the graph, and the products that they read from outside."""

    description: Text | None = Field(None, description="What the pipeline does; a column of `kubectl get spl`.")
    stages: StageMode = Field(
        StageMode.FUSED,
        description=(
            "How steps are grouped into Jobs. Fused: a Job runs all steps that can be decided at that moment, one "
            "after the other. PerStep: each step has a Job of its own."
        ),
    )
    externals: list[ExternalInput] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra=BY_NAME,
        description="Products on the inputs volume that steps read; none if empty.",
    )
    steps: list[PipelineStep] = Field(
        min_length=1,
        max_length=64,
        json_schema_extra=BY_NAME,
        description="Steps in any order: inputs and conditions say which waits for which.",
    )


class StarPipeline(ApiModel):
    """A pipeline: a graph of steps, each a science module with its inputs."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarPipeline"] = "StarPipeline"
    metadata: ObjectMeta
    spec: StarPipelineSpec
