"""The links of a task, and the file of failed stars."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from plato_sas_airflow.batches.failed_stars import as_csv, write_failed_stars
from plato_sas_airflow.batches.results import StarFailure
from plato_sas_airflow.links.star_processing import CampaignLink, ProductsLink, filled
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.stars.files import read_stars
from tests.plato_sas_airflow.testbed import Listening

KEY: Any = None
GIVEN: dict[str, Any] = {"task_id": "t", "campaign": "Q1", "pipeline": "sas-demo", "kubernetes_conn_id": "linked"}


def connect(monkeypatch: pytest.MonkeyPatch, **extra: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LINKED", json.dumps({"conn_type": "plato_sas", "extra": extra}))


def test_links_are_empty_unless_they_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch)
    star = StarProcessingOperator(star="KIC1", **GIVEN)
    assert [link.get_link(star, ti_key=KEY) for link in star.operator_extra_links] == ["", ""]


def test_the_section_and_the_connection_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, namespace="plato")
    monkeypatch.setenv("AIRFLOW__PLATO_SAS__PRODUCTS_URL", "https://p.example/{namespace}/{campaign}/{star}/?n={name}")
    monkeypatch.setenv("AIRFLOW__PLATO_SAS__CAMPAIGN_URL", "https://c.example/{campaign}/{pipeline}")
    star, batch = StarProcessingOperator(star="KIC1", **GIVEN), StarBatchOperator(stars=["KIC1"], **GIVEN)
    assert ProductsLink().get_link(star, ti_key=KEY) == "https://p.example/plato/Q1/KIC1/?n=kic1-q1"
    assert CampaignLink().get_link(batch, ti_key=KEY) == "https://c.example/Q1/sas-demo"
    assert ProductsLink().get_link(batch, ti_key=KEY) == "", "a batch has no star to fill in"
    connect(monkeypatch, namespace="plato", campaign_url="http://other.example/{campaign}")
    assert CampaignLink().get_link(batch, ti_key=KEY) == "http://other.example/Q1"


def test_the_operators_name_their_links() -> None:
    assert [link.name for link in StarProcessingOperator.operator_extra_links] == ["Products", "Campaign"]
    assert [link.name for link in StarBatchOperator.operator_extra_links] == ["Campaign"]


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("https://x/{star}", "https://x/a%2Fb%3Fc"),
        ("javascript:alert('{star}')", ""),
        ("https://x/{unknown}", ""),
        ("", ""),
    ],
)
def test_an_address_is_quoted_and_of_a_page(template: str, address: str) -> None:
    assert filled(template, {"star": "a/b?c"}) == address


FAILURES = [
    StarFailure("KIC1", "kic1-q1", "Failed", "msap1", 3, "ModuleFailed", 'line one\nline "two", of it'),
    StarFailure("KIC2", "kic2-q1", "Deleted"),
]


def test_failed_stars_as_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(FAILURES))))
    assert rows[0]["message"] == 'line one | line "two", of it'
    assert [(row["star"], row["state"], row["exit_code"]) for row in rows] == [
        ("KIC1", "Failed", "3"),
        ("KIC2", "Deleted", ""),
    ]


async def test_the_file_is_a_target_list_for_another_batch(tmp_path: Path) -> None:
    path, log = f"file://{tmp_path}/q1/failed.csv", Listening()
    assert await write_failed_stars(path, FAILURES, log) == path
    assert [star.name for star in read_stars(path)] == ["KIC1", "KIC2"]
    assert "2 failed stars are in" in log.text


async def test_a_file_that_cannot_be_written_costs_no_result(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = Listening()
    assert await write_failed_stars(f"{tmp_path}/file/failed.csv", FAILURES, log) is None
    assert "could not be written" in log.text
