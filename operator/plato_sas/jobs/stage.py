"""What a Job is built from: a stage (steps that share one pod), a check of which steps of a stage need not run, or a
salvage of what a stage's pod left unpublished.
"""

from dataclasses import dataclass

from plato_sas.api import API_VERSION, Document, ModuleResources
from plato_sas.stager.description import PublishOrder, Stage


@dataclass(frozen=True)
class StepRun:
    """How one step's container runs: the module's resources, with the memory of this attempt."""

    name: str
    image: str
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    resources: ModuleResources
    memory: str
    timeout_seconds: int


@dataclass(frozen=True)
class Owner:
    """The StarProcessing or StarCatalogue that a Job belongs to."""

    name: str
    namespace: str
    uid: str
    labels: dict[str, str]
    kind: str = "StarProcessing"

    def reference(self) -> Document:
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }


@dataclass(frozen=True)
class StageRun:
    """A stage ready to be built: `description.id` is the Job's name."""

    owner: Owner
    description: Stage
    steps: tuple[StepRun, ...]

    @property
    def job(self) -> str:
        return self.description.id

    @property
    def reads_inputs(self) -> bool:
        """Whether a step reads the inputs volume."""
        return any(one.volume == "inputs" for step in self.description.steps for one in step.inputs)

    @property
    def numbers(self) -> dict[str, int]:
        """Each step's attempt number."""
        return {step.name: step.attempt for step in self.description.steps}


@dataclass(frozen=True)
class CheckRun:
    """Looks for what was published before with the same key, and runs nothing."""

    owner: Owner
    description: Stage

    @property
    def job(self) -> str:
        return self.description.id

    @property
    def reads_inputs(self) -> bool:
        """Whether a step reads the inputs volume."""
        return any(one.volume == "inputs" for step in self.description.steps for one in step.inputs)

    @property
    def numbers(self) -> dict[str, int]:
        """As of a stage: the check uses up an attempt number."""
        return {step.name: step.attempt for step in self.description.steps}


@dataclass(frozen=True)
class SalvageRun:
    """Publishes the steps that completed before their stage failed. `numbers`: their attempt numbers."""

    owner: Owner
    job: str
    order: PublishOrder
    numbers: dict[str, int]
    reads_inputs: bool = False  # whether a step reads the inputs volume


Run = StageRun | CheckRun | SalvageRun


@dataclass(frozen=True)
class Site:
    """What the site configures for every Job."""

    stager_image: str
    catalogue_image: str | None = None  # None: the site makes no catalogues
    inputs_claim: str = "sas-inputs"
    products_claim: str = "sas-products"
    user: int = 10001
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Document, ...] = ()
    priority_class: str | None = None
    pod_annotations: tuple[tuple[str, str], ...] = ()
    pod_labels: tuple[tuple[str, str], ...] = ()
    # Folders of the inputs volume in which a star's spec may choose its files.
    input_prefixes: tuple[str, ...] = ("{star}", "{campaign}/{star}")
    max_output_size: int = 16 << 30  # in bytes, of an output whose module does not say
