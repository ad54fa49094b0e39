"""StarCatalogue: the results of a campaign as tables with one row per star."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    IMMUTABLE,
    MEMORY_RULE,
    ApiModel,
    Bytes,
    Cores,
    Duration,
    PathName,
    ProductName,
    ResourceName,
    Sha256,
    StepName,
    Text,
    Timestamp,
    Unit,
    VariableName,
    cel_rules,
    check_memory,
    list_map,
)
from plato_sas.api.meta import Condition, ObjectMeta
from plato_sas.api.values import ValueType

# A table's name becomes the name of a file and of a FITS extension.
TableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,30}$", max_length=31)]
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$", max_length=63)]
# As in RFC 6901, with a slash before each name.
Pointer = Annotated[str, Field(pattern=r"^(/[^/]+)+$", max_length=255)]
# The descriptions of all columns reach the Job in one environment variable.
Description = Annotated[str, Field(max_length=256)]


class CatalogueState(StrEnum):
    """State of a catalogue as a whole."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    REJECTED = "Rejected"

    @property
    def final(self) -> bool:
        """As of a star: it stays until the spec asks for a rerun."""
        return self in (CatalogueState.SUCCEEDED, CatalogueState.FAILED)


class CatalogueColumn(ApiModel):
    """One column, whose values are a fact of a step, or a value in one of its outputs."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("has(self.fact) != has(self.output)", "exactly one of fact and output must be given"),
            ("has(self.output) || !(has(self.pointer) || has(self.type))", "pointer and type go with output"),
        )
    }

    name: ColumnName = Field(description="Name of the column, unique in its table.")
    unit: Unit | None = Field(
        None,
        description=(
            "Unit as in FITS, such as uHz or solMass; none if not set. A product that states another unit is refused."
        ),
    )
    description: Description | None = Field(
        None, description="What the column contains, written into the files; optional."
    )
    step: StepName = Field(description="Step of the pipeline from which the values come.")
    fact: VariableName | None = Field(
        None, description="Fact that the step's module declares. Exactly one of fact and output is set."
    )
    output: ProductName | None = Field(
        None,
        description=(
            "Output that the step's module declares, a JSON (.json) or HDF5 file (.h5, .hdf5) of at most 16 MiB."
        ),
    )
    pointer: Pointer | None = Field(
        None,
        description=(
            "Place of the value in the output. JSON: a JSON pointer (RFC 6901). HDF5: a path below the output's group "
            "to a dataset with one value, or to an attribute (/@name). /value if not set."
        ),
    )
    type: ValueType | None = Field(
        None,
        description="Type of the value in the output; number if not set. A fact has its declared type.",
    )


class CatalogueTable(ApiModel):
    """One table, which becomes `<name>.fits` and `<name>.ecsv`."""

    name: TableName = Field(description="Name of the table, which is also the name of its files and FITS extension.")
    description: Description | None = Field(
        None, description="What the table contains, written into the files; optional."
    )
    columns: list[CatalogueColumn] = Field(
        min_length=1,
        max_length=64,
        json_schema_extra=BY_NAME,
        description="Columns of the table. `star` and the provenance of each step are added to them.",
    )


class CatalogueResources(ApiModel):
    """CPU and memory of the Job that makes the catalogue."""

    model_config = {"json_schema_extra": cel_rules(MEMORY_RULE)}

    cpu: Cores = Field(
        "500m",
        description=(
            "CPU request, in cores or millicores (m). The number of reading processes is this rounded up, at least 2, "
            "at most 32."
        ),
    )
    memory: Bytes = Field(
        "512Mi",
        description="Memory request and limit, in bytes. The need for it does not grow with the number of stars.",
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        check_memory(self.memory)
        return self


class CatalogueRerun(ApiModel):
    """A request to make the catalogue again with the present pipeline."""

    id: int = Field(
        ge=1,
        le=9999999999,
        description="Number of the request, higher than that of the one before. Each is carried out once.",
    )


class StarCatalogueSpec(ApiModel):
    """The campaign and pipeline whose products are collected, and the tables to make of them."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("has(self.stars) == has(oldSelf.stars)", "stars is immutable"),
            (
                "!has(oldSelf.rerun) || (has(self.rerun) && self.rerun.id >= oldSelf.rerun.id)",
                "rerun.id must not decrease",
            ),
        )
    }

    campaign: PathName = Field(json_schema_extra=IMMUTABLE, description="Campaign whose products are collected.")
    pipeline: ResourceName = Field(
        json_schema_extra=IMMUTABLE,
        description=(
            "StarPipeline of the same namespace whose steps made the products. It and the modules of the named steps "
            "must exist."
        ),
    )
    tables: list[CatalogueTable] = Field(
        min_length=1,
        max_length=16,
        json_schema_extra={**BY_NAME, **IMMUTABLE},
        description="Tables to make, each with one row per star; at most 96 KiB as JSON, together with stars.",
    )
    stars: list[PathName] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Collect these stars only; if not set, every star with a folder in the campaign's.",
        json_schema_extra={"x-kubernetes-list-type": "set", **IMMUTABLE},
    )
    resources: CatalogueResources = Field(
        default_factory=lambda: CatalogueResources(), description="CPU and memory of the Job that makes the catalogue."
    )
    timeout: Duration = Field(
        "6h", description="Longest time of one attempt, from the start of its pod on a node, such as 90m or 6h."
    )
    rerun: CatalogueRerun | None = Field(
        None, description="A request to make the catalogue again with the present pipeline; made once if not set."
    )


class CatalogueFile(ApiModel):
    """One file of a table."""

    path: Annotated[str, Field(max_length=512)] = Field(
        description="Path of the file, relative to the root of the products volume."
    )
    sha256: Sha256 = Field(description="SHA-256 of the file, in hexadecimal.")


class TableStatus(ApiModel):
    """One table as last published."""

    name: TableName = Field(description="Name of the table.")
    rows: int = Field(ge=0, description="Number of rows, which is the number of stars in the table.")
    left_out: int = Field(
        0, ge=0, description="Number of stars without a row because a product that the table needs is unsound."
    )
    files: list[CatalogueFile] = Field(
        default_factory=list, max_length=4, description="Files of the table, one in each format (FITS, ECSV)."
    )


class StarCounts(ApiModel):
    """Numbers of stars."""

    seen: int = Field(ge=0, description="Number of stars that the collection looked at.")
    without_products: int = Field(
        0, ge=0, description="Number of stars with no product of any of the catalogue's steps; they have no row."
    )
    with_problems: int = Field(
        0, ge=0, description="Number of stars with at least one unsound product; problems.txt names the files."
    )


class StarCatalogueStatus(ApiModel):
    """State of the catalogue as the operator last saw it. Only the operator writes it."""

    state: CatalogueState = Field(
        CatalogueState.PENDING,
        description=(
            "State of the catalogue as a whole; Pending also between two attempts. Rejected: the spec, or what it "
            "refers to, is invalid."
        ),
    )
    observed_generation: int | None = Field(
        None, ge=0, description="The metadata.generation that the status describes."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        json_schema_extra=list_map("type"),
        description=(
            "Accepted: whether the tables fit the pipeline. Complete: whether the catalogue was published, and if not, "
            "why."
        ),
    )
    attempt: int = Field(0, ge=0, description="Number of the latest attempt; 0 if none has begun.")
    job: ResourceName | None = Field(None, description="Job of the latest attempt; it may have been deleted since.")
    retries: dict[Annotated[str, Field(max_length=32)], Annotated[int, Field(ge=0)]] | None = Field(
        None, max_length=8, description="Retries since the latest rerun, by class of failure."
    )
    rerun: int | None = Field(
        None, ge=0, description="The spec.rerun.id that was carried out last; not set if none was."
    )
    message: Text | None = Field(
        None, description="What the catalogue waits for, or why it failed: the last lines of the collector's log."
    )
    exit_code: int | None = Field(None, description="Exit code of the collector if the latest attempt failed.")
    stars: StarCounts | None = Field(None, description="Numbers of stars, as of the latest published catalogue.")
    tables: list[TableStatus] = Field(
        default_factory=list, max_length=16, json_schema_extra=BY_NAME, description="Tables as last published."
    )
    started_at: Timestamp | None = Field(None, description="When the latest attempt began, in UTC.")
    finished_at: Timestamp | None = Field(None, description="When the latest attempt ended, in UTC.")


class StarCatalogue(ApiModel):
    """The results of a campaign as tables with one row per star."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarCatalogue"] = "StarCatalogue"
    metadata: ObjectMeta
    spec: StarCatalogueSpec
    status: StarCatalogueStatus = Field(default_factory=StarCatalogueStatus)
