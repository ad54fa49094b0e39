"""The numbers that the specification gives are those of the code."""

import re
from collections.abc import Mapping

from plato_sas.api import CatalogueTable, StarCatalogueSpec
from plato_sas.collector import tree
from plato_sas.collector.values import MAX_STRING
from plato_sas.controller.settings import Settings
from plato_sas.jobs import builder, one_pod
from plato_sas.jobs.failure import FailureClass
from plato_sas.plan import retries
from plato_sas.plan.catalogue.decide import TEMPORARY_RETRIES
from plato_sas.plan.catalogue.tables import MAX_ORDER
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.star import compose, status
from plato_sas.plan.star.decide import MAX_STEPS_PER_STAGE
from plato_sas.stager import messages

_SPECIFICATION = "docs/specification.md"


def part(documents: Mapping[str, str], number: str) -> str:
    """A numbered section, on one line, up to the next heading."""
    text = documents[_SPECIFICATION]
    begin = re.search(rf"^#+ {re.escape(number)}\.? .*$", text, re.MULTILINE)
    assert begin, number
    rest = text[begin.end() :]
    end = re.search(r"^#+ ", rest, re.MULTILINE)
    return " ".join(rest[: end.start() if end else None].split())


def test_retries_and_pauses(documents: Mapping[str, str]) -> None:
    told = part(documents, "6")
    pauses = {kind: f"{pause:.0f} s, doubled each time" for kind, pause in retries._FIRST_PAUSE.items()}
    longest = f"at most {retries._LONGEST_PAUSE:.0f} s |"
    often = retries.INFRASTRUCTURE_RETRIES
    assert f"| `Infrastructure` | {often} | {pauses[FailureClass.INFRASTRUCTURE]}, {longest}" in told
    assert f"(default 3) | {pauses[FailureClass.TEMPORARY]}, {longest}" in told
    assert retries._FIRST_PAUSE[FailureClass.OUT_OF_MEMORY] == 0


def test_which_steps_share_a_stage(documents: Mapping[str, str]) -> None:
    told = part(documents, "5.5")
    assert f"at most {MAX_STEPS_PER_STAGE} (" in told
    assert f"{compose._CPU_FLOOR} CPU and {compose._MEMORY_FLOOR / 2**30:.0f} GiB" in told
    assert compose._FAR == 4.0
    assert "more than four times" in told


def test_limits(documents: Mapping[str, str]) -> None:
    told = part(documents, "9")
    assert f"a stage at most {MAX_STEPS_PER_STAGE}." in told
    assert f"{messages._POD_LIMIT:,} bytes divided by the number of the pod's containers" in told
    assert f"at most {messages._CONTAINER_LIMIT:,}" in told
    assert f"{MAX_MESSAGE:,} characters; all together {status._MAX_MESSAGES:,}." in told
    assert f"inputs of a step together have {builder._TREE_LIMIT_WITH_COPIES.removesuffix('Gi')} GiB." in told
    assert f"`controller.logs.maxBytes`: {Settings.log_max_bytes // 2**20} MiB" in told


def test_times(documents: Mapping[str, str]) -> None:
    assert f"and {builder._STAGER_SECONDS} s for stage-in and publish" in part(documents, "4.5")
    assert f"after {one_pod._GRACE_SECONDS} s SIGKILL" in part(documents, "4.5")
    assert f"every {('zero', 'one', 'two')[Settings.status_interval]} seconds at most" in part(documents, "3.1")


def test_catalogues(documents: Mapping[str, str]) -> None:
    table = CatalogueTable.model_json_schema()["properties"]["columns"]
    tables, stars = (StarCatalogueSpec.model_json_schema()["properties"][name] for name in ("tables", "stars"))
    limits = part(documents, "9")
    assert f"{tables['maxItems']} tables of {table['maxItems']} columns; {MAX_ORDER >> 10} KiB" in limits
    assert f"{stars['anyOf'][0]['maxItems']:,} chosen stars" in limits
    assert f"at most {tree._LARGEST >> 20} MiB;" in part(documents, "4.10")
    assert f"at most {MAX_STRING} characters" in part(documents, "4.10")
    told = {3: "three", 5: "five"}
    assert f"{told[TEMPORARY_RETRIES]} of `Temporary`" in part(documents, "5.6")
    assert f"{told[retries.INFRASTRUCTURE_RETRIES]} of `Infrastructure`" in part(documents, "5.6")
