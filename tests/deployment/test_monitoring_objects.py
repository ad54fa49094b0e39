"""The dashboard and the alerts ask only for metrics that the operator has."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from e2e.layout import REPOSITORY
from e2e.setup import manifests
from plato_sas.controller import metrics

_SERIES = re.compile(r"\bplato_sas_\w+")
_SELECTOR = re.compile(r"(plato_sas_\w+)\{([^}]*)\}")
_GROUPING = re.compile(r"by \(([^)]*)\)")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
DASHBOARD = manifests.CHART / "dashboards" / "plato-sas.json"


def series() -> dict[str, set[str]]:
    """Every series that can be asked for, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            labels = set(metric._labelnames)
            if isinstance(metric, Histogram):
                found |= {f"{family.name}{ending}": labels for ending in ("_count", "_sum")}
                found[f"{family.name}_bucket"] = labels | {"le"}
            else:
                found[family.name + ("_total" if isinstance(metric, Counter) else "")] = labels
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def dashboard_expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]


def alert_expressions(render: Any) -> Iterator[str]:
    documents = render("metrics.prometheusRule.enabled=true", apis=("monitoring.coreos.com/v1",))
    (rule,) = [item for item in documents if item["kind"] == "PrometheusRule"]
    for group in rule["spec"]["groups"]:
        for alert in group["rules"]:
            yield alert["expr"]


def check(expression: str) -> set[str]:
    """Assert that an expression's series and labels exist; the series that it asks for."""
    known = series()
    asked = set(_SERIES.findall(expression))
    assert asked, expression
    assert asked <= known.keys(), expression
    # Prometheus adds `namespace` to what it scrapes from a pod.
    for name, matchers in _SELECTOR.findall(expression):
        assert set(_LABEL.findall(matchers)) <= known[name] | {"namespace"}, expression
    for grouping in _GROUPING.findall(expression):
        labels = {label.strip() for label in grouping.split(",")}
        assert labels <= set().union(*(known[name] for name in asked)), expression
    return asked


def test_dashboard_asks_for_existing_series() -> None:
    for expression in dashboard_expressions():
        check(expression)


def test_dashboard_shows_every_metric() -> None:
    shown = {re.sub("_(bucket|count|sum)$", "", name) for name in set().union(*map(check, dashboard_expressions()))}
    assert shown == {re.sub("_(bucket|count|sum)$", "", name) for name in series()}


def test_alerts_ask_for_existing_series(render: Any) -> None:
    expressions = list(alert_expressions(render))
    assert expressions
    for expression in expressions:
        check(expression)


def test_the_airflow_guide_links_to_variables_of_the_dashboard() -> None:
    guide = (REPOSITORY / "docs" / "guides" / "airflow-guide.md").read_text()
    used = set(re.findall(r"[?&]var-(\w+)=", guide))
    assert used
    assert used <= {variable["name"] for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]}


def test_panels_are_complete_and_do_not_overlap() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    cells: set[tuple[int, int]] = set()
    for panel in found:
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered, panel["title"]
        cells |= covered


def test_config_map_holds_the_dashboard_unchanged(render: Any) -> None:
    documents = render("metrics.grafanaDashboard.enabled=true")
    (config_map,) = [item for item in documents if item["kind"] == "ConfigMap"]
    assert json.loads(config_map["data"]["plato-sas.json"]) == json.loads(DASHBOARD.read_text())
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize(
    "expression", ["plato_sas_stars", 'plato_sas_jobs{star="x"}', "sum by (star) (plato_sas_jobs)"]
)
def test_check_finds_what_does_not_exist(expression: str) -> None:
    with pytest.raises(AssertionError):
        check(expression)
