"""The resources of `plato-sas.io/v1alpha1`; the CRDs are generated from these models."""

from plato_sas.api.base import API_VERSION, GROUP, VERSION, amount, parse_time, seconds
from plato_sas.api.meta import Condition, ObjectMeta
from plato_sas.api.module import (
    FactDeclaration,
    ModuleInput,
    ModuleOutput,
    ModuleResources,
    ParameterDeclaration,
    ScienceModule,
    ScienceModuleSpec,
    ValueType,
)
from plato_sas.api.pipeline import ExternalInput, PipelineStep, StageMode, StarPipeline, StarPipelineSpec, StepInput
from plato_sas.api.processing import (
    DesiredState,
    Facts,
    FactValue,
    InputFile,
    Rerun,
    StarProcessing,
    StarProcessingSpec,
    StarProcessingStatus,
    StarState,
    StepState,
    StepStatus,
)

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "Condition",
    "DesiredState",
    "ExternalInput",
    "FactDeclaration",
    "FactValue",
    "Facts",
    "InputFile",
    "ModuleInput",
    "ModuleOutput",
    "ModuleResources",
    "ObjectMeta",
    "ParameterDeclaration",
    "PipelineStep",
    "Rerun",
    "ScienceModule",
    "ScienceModuleSpec",
    "StageMode",
    "StarPipeline",
    "StarPipelineSpec",
    "StarProcessing",
    "StarProcessingSpec",
    "StarProcessingStatus",
    "StarState",
    "StepInput",
    "StepState",
    "StepStatus",
    "ValueType",
    "amount",
    "parse_time",
    "seconds",
]
