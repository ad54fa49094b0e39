"""StarCatalogue: the results of a campaign as tables, one row per star."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from plato_sas.api.base import (
    API_VERSION,
    BY_NAME,
    IMMUTABLE,
    ApiModel,
    Duration,
    PathName,
    ProductName,
    Quantity,
    ResourceName,
    Sha256,
    StepName,
    Text,
    Timestamp,
    VariableName,
    cel_rules,
    list_map,
)
from plato_sas.api.meta import Condition, ObjectMeta
from plato_sas.api.module import ValueType

# A table becomes the name of a file and of a FITS extension.
TableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,30}$", max_length=31)]
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$", max_length=63)]
# As in RFC 6901: a slash before each name.
Pointer = Annotated[str, Field(pattern=r"^(/[^/]+)+$", max_length=255)]
# What all columns say goes to the Job in one variable of its environment.
Description = Annotated[str, Field(max_length=256)]


class CatalogueState(StrEnum):
    """The catalogue as a whole."""

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
    """One column, and where its values come from: a fact that a step reports, or a value in a product of it."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("has(self.fact) != has(self.output)", "exactly one of fact and output must be given"),
            ("has(self.output) || !(has(self.pointer) || has(self.type))", "pointer and type go with output"),
        )
    }

    name: ColumnName = Field(description="The column's name in the table.")
    unit: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="As in FITS, such as uHz or solMass; a product that tells another unit is refused."
    )
    description: Description | None = Field(None, description="What the column holds; it is written into the files.")
    step: StepName = Field(description="The step of the pipeline that makes it.")
    fact: VariableName | None = Field(None, description="A fact that the step's module declares.")
    output: ProductName | None = Field(None, description="An output that the step's module declares: JSON or HDF5.")
    pointer: Pointer | None = Field(
        None,
        description="Where in the product: a JSON pointer (RFC 6901), or the path of a dataset, or of an attribute as "
        "/@name, below the product's HDF5 group; /value if not given.",
    )
    type: ValueType | None = Field(None, description="Of the value in the product; number if not given.")


class CatalogueTable(ApiModel):
    """One table, which becomes `<name>.fits` and `<name>.ecsv`."""

    name: TableName = Field(description="The table's name, and that of its files and FITS extension.")
    description: Description | None = Field(None, description="What the table holds; it is written into the files.")
    columns: list[CatalogueColumn] = Field(
        min_length=1, max_length=64, description="The columns, beside the star's identifier.", json_schema_extra=BY_NAME
    )


class CatalogueResources(ApiModel):
    """What the collection is given. Memory does not grow with the number of stars."""

    cpu: Quantity = Field("500m", description="CPU request; as many processes read products, two at least.")
    memory: Quantity = Field("512Mi", description="Memory request and limit.")


class CatalogueRerun(ApiModel):
    """A wish to make the catalogue again, taken up once for each `id`."""

    id: int = Field(ge=1, le=1000000, description="Higher than that of the rerun before.")


class StarCatalogueSpec(ApiModel):
    """One campaign, one pipeline, and the tables to make of their products."""

    model_config = {
        "json_schema_extra": cel_rules(
            ("has(self.stars) == has(oldSelf.stars)", "stars is immutable"),
            (
                "!has(oldSelf.rerun) || (has(self.rerun) && self.rerun.id >= oldSelf.rerun.id)",
                "rerun.id must not become smaller",
            ),
        )
    }

    campaign: PathName = Field(
        description="Campaign (quarter) whose products are collected. Immutable.", json_schema_extra=IMMUTABLE
    )
    pipeline: ResourceName = Field(
        json_schema_extra=IMMUTABLE, description="Whose steps made the products; it says what they are."
    )
    tables: list[CatalogueTable] = Field(
        min_length=1, max_length=16, description="The tables. Immutable.", json_schema_extra={**BY_NAME, **IMMUTABLE}
    )
    stars: list[PathName] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="These stars only; if not given, every star of the campaign in the product tree.",
        json_schema_extra={"x-kubernetes-list-type": "set", **IMMUTABLE},
    )
    resources: CatalogueResources = Field(default_factory=lambda: CatalogueResources())
    timeout: Duration = Field("6h", description="How long one attempt may take, from its start on a node.")
    rerun: CatalogueRerun | None = None


class CatalogueFile(ApiModel):
    """One file of the catalogue."""

    path: Annotated[str, Field(max_length=512)] = Field(description="Below the products volume.")
    sha256: Sha256 = Field(description="SHA-256 of the file.")


class TableStatus(ApiModel):
    """One table as it was published last."""

    name: TableName = Field(description="The table's name in the spec.")
    rows: int = Field(ge=0, description="Stars with a row.")
    left_out: int = Field(0, ge=0, description="Stars without a row, since a product that it needs is not sound.")
    files: list[CatalogueFile] = Field(default_factory=list, max_length=4, description="The files that hold it.")


class StarCounts(ApiModel):
    """The stars that were looked at."""

    seen: int = Field(ge=0, description="All stars that were looked at.")
    without_products: int = Field(0, ge=0, description="Of none of the catalogue's steps there is a product.")
    with_problems: int = Field(0, ge=0, description="At least one product is not sound; problems.txt tells which.")


class StarCatalogueStatus(ApiModel):
    """What the operator knows of the catalogue; written by the operator alone."""

    state: CatalogueState = CatalogueState.PENDING
    observed_generation: int | None = Field(None, ge=0, description="The generation of the spec that this is about.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        description="Accepted and Complete, with the reasons.",
        json_schema_extra=list_map("type"),
    )
    attempt: int = Field(0, ge=0, description="Attempts begun.")
    job: ResourceName | None = Field(None, description="Job of the latest attempt.")
    retries: dict[Annotated[str, Field(max_length=32)], Annotated[int, Field(ge=0)]] | None = Field(
        None, max_length=8, description="Attempts made again, by class of failure."
    )
    rerun: int | None = Field(None, ge=0, description="The spec.rerun.id that was taken up last.")
    message: Text | None = Field(None, description="What it waits for; why it failed: the last log lines.")
    exit_code: int | None = Field(None, description="Of the collector in the latest attempt, once it has ended.")
    stars: StarCounts | None = None
    tables: list[TableStatus] = Field(
        default_factory=list,
        max_length=16,
        description="The tables as they were published last.",
        json_schema_extra=BY_NAME,
    )
    started_at: Timestamp | None = Field(None, description="When the latest attempt began.")
    finished_at: Timestamp | None = Field(None, description="When the latest attempt ended.")


class StarCatalogue(ApiModel):
    """The results of a campaign as tables, one row per star."""

    api_version: Literal["plato-sas.io/v1alpha1"] = API_VERSION
    kind: Literal["StarCatalogue"] = "StarCatalogue"
    metadata: ObjectMeta
    spec: StarCatalogueSpec
    status: StarCatalogueStatus = Field(default_factory=StarCatalogueStatus)
