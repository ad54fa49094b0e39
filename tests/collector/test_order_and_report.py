"""What goes between the operator and the collector survives the way, and fits."""

import json

from plato_sas.collector.order import CatalogueOrder
from plato_sas.collector.report import CONTAINERS, CatalogueReport, TableReport, parse_report
from plato_sas.plan.catalogue.tables import build_order
from plato_sas.stager.messages import room
from tests.support.catalogue import REPORT, catalogue, sample_graph


def test_an_order_survives_the_way() -> None:
    order = build_order(catalogue(stars=["b", "a"]), sample_graph(), "sas-test-1", "job-1")
    assert CatalogueOrder.from_json(order.to_json()) == order
    assert [step.name for step in order.steps] == ["fit", "choose"]
    everything = order._replace(stars=[])
    assert "stars" not in json.loads(everything.to_json())
    assert CatalogueOrder.from_json(everything.to_json()) == everything


def test_a_report_survives_the_way() -> None:
    assert parse_report(REPORT.to_json()) == REPORT


def test_the_largest_report_fits_into_a_termination_message() -> None:
    tables = [TableReport("T" * 30 + f"{i:x}", 10**7, 10**7, ["f" * 64] * 2) for i in range(16)]
    assert len(CatalogueReport(10**7, 10**7, 10**7, tables).to_json()) < room(CONTAINERS)


def test_what_is_no_report_is_none() -> None:
    for text in ("", "[1.0 s] read 3 stars", "{}", '{"seen": 1}', '{"tables": [[1]]}', "[]", "3"):
        assert parse_report(text) is None
