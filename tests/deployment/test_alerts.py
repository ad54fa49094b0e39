"""Every alert, over series as a Prometheus sees them: absent at first, then from the start of the operator on.

promtool (of Prometheus) evaluates the rules of the chart every minute.
"""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.setup import manifests
from plato_sas.api import Document

MONITORING = "monitoring.coreos.com/v1"
HERE = f'namespace="{manifests.NAMESPACE}"'
ELSEWHERE = 'namespace="other"'
# The operator starts after five minutes, and is scraped every minute.
ABSENT = "_x5"


@dataclass(frozen=True)
class Case:
    """Values of series a minute apart, and whether the alert fires at the end of `minutes`."""

    alert: str
    series: dict[str, str]
    minutes: int
    fires: bool
    labels: dict[str, str] = field(default_factory=dict)
    value: str = ""
    """What `{{ $value }}` stands for in the alert's text."""


def counter(name: str, labels: str = "", where: str = HERE) -> str:
    return f"{name}{{{where}{',' if labels else ''}{labels}}}"


def latency(waited: str) -> dict[str, str]:
    """The queue's histogram, ten stars a minute; `waited`: the bucket that each falls into."""
    bounds = ["10", "60", "300", "+Inf"]
    moving = bounds[bounds.index(waited) :]
    name = "plato_sas_queue_latency_seconds_bucket"
    return {
        counter(name, f'kind="StarProcessing",le="{bound}"'): f"{ABSENT} 0+{10 if bound in moving else 0}x60"
        for bound in bounds
    }


STEPS, REQUESTS = "plato_sas_steps_total", "plato_sas_api_requests_total"
LOGS, ARCHIVE = "plato_sas_log_errors_total", "plato_sas_archive_errors_total"
ERRORS, STUCK = "plato_sas_reconcile_errors_total", "plato_sas_stuck_stars"
STAR = 'kind="StarProcessing"'

CASES = {
    "the operator was never there": Case("PlatoSasOperatorAbsent", {}, 15, True),
    "the operator goes": Case("PlatoSasOperatorAbsent", {counter("plato_sas_starprocessings"): "3x10 stale"}, 25, True),
    "the operator of another namespace does not count": Case(
        "PlatoSasOperatorAbsent", {counter("plato_sas_starprocessings", where=ELSEWHERE): "3x60"}, 15, True
    ),
    "the operator holds no stars": Case(
        "PlatoSasOperatorAbsent", {counter("plato_sas_starprocessings"): "0x60"}, 30, False
    ),
    "the operator is replaced": Case(
        "PlatoSasOperatorAbsent", {counter("plato_sas_starprocessings"): "3x10 stale _x5 3x30"}, 20, False
    ),
    "one star fails to be reconciled again and again": Case(
        "PlatoSasReconcileErrors",
        {counter(ERRORS, STAR): f"{ABSENT} 0x5 1+1x40"},
        30,
        True,
        {"kind": "StarProcessing"},
    ),
    "one error has passed": Case("PlatoSasReconcileErrors", {counter(ERRORS, STAR): f"{ABSENT} 0x5 1x40"}, 30, False),
    "no reconciliation fails": Case("PlatoSasReconcileErrors", {counter(ERRORS, STAR): f"{ABSENT} 0x40"}, 30, False),
    "stars are stuck": Case("PlatoSasStarsStuck", {counter(STUCK): f"{ABSENT} 0x5 2x20"}, 20, True, value="2"),
    "a star was stuck for a moment": Case("PlatoSasStarsStuck", {counter(STUCK): f"{ABSENT} 0x5 2x3 0x20"}, 20, False),
    "no star is stuck": Case("PlatoSasStarsStuck", {counter(STUCK): f"{ABSENT} 0x40"}, 20, False),
    "every request is without an answer, and there never was one": Case(
        "PlatoSasApiErrors", {counter(REQUESTS, 'method="GET",code="error"'): f"{ABSENT} 0+5x60"}, 30, True
    ),
    "a tenth of the requests is forbidden": Case(
        "PlatoSasApiErrors",
        {
            counter(REQUESTS, 'method="GET",code="200"'): f"{ABSENT} 0+90x60",
            counter(REQUESTS, 'method="PATCH",code="403"'): f"{ABSENT} _x5 10+10x60",
        },
        40,
        True,
    ),
    "conflicts and names that are gone are no errors": Case(
        "PlatoSasApiErrors",
        {
            counter(REQUESTS, 'method="POST",code="409"'): f"{ABSENT} 0+50x60",
            counter(REQUESTS, 'method="DELETE",code="404"'): f"{ABSENT} 0+50x60",
            counter(REQUESTS, 'method="GET",code="error"'): f"{ABSENT} 0x60",
        },
        40,
        False,
    ),
    "stars wait for minutes": Case("PlatoSasQueueSlow", latency("300"), 30, True),
    "stars wait for longer than what is measured": Case("PlatoSasQueueSlow", latency("+Inf"), 30, True),
    "stars wait for seconds": Case("PlatoSasQueueSlow", latency("10"), 30, False),
    "archive records alone cannot be written": Case(
        "PlatoSasVolumeNotWritten", {counter(ARCHIVE): f"{ABSENT} 0x5 1x4 2x4 3x4 4x4 5x20"}, 30, True
    ),
    "logs alone cannot be written": Case(
        "PlatoSasVolumeNotWritten", {counter(LOGS, 'at="write"'): f"{ABSENT} 0x5 1x4 2x4 3x4 4x4 5x20"}, 30, True
    ),
    "neither can be written": Case(
        "PlatoSasVolumeNotWritten",
        {
            counter(LOGS, 'at="write"'): f"{ABSENT} 0x5 1+1x40",
            counter(ARCHIVE): f"{ABSENT} 0x5 1+1x40",
        },
        30,
        True,
    ),
    "logs cannot be fetched": Case(
        "PlatoSasVolumeNotWritten",
        {
            counter(LOGS, 'at="fetch"'): f"{ABSENT} 0x5 1+1x40",
            counter(LOGS, 'at="write"'): f"{ABSENT} 0x50",
            counter(ARCHIVE): f"{ABSENT} 0x50",
        },
        30,
        False,
    ),
    "one write has failed": Case(
        "PlatoSasVolumeNotWritten",
        {counter(LOGS, 'at="write"'): f"{ABSENT} 0x5 1x40", counter(ARCHIVE): f"{ABSENT} 0x50"},
        30,
        False,
    ),
    "a module fails for a third of its stars": Case(
        "PlatoSasStepsFailing",
        {
            counter(STEPS, 'module="a",outcome="Succeeded"'): f"{ABSENT} 0+2x90",
            counter(STEPS, 'module="a",outcome="Failed"'): f"{ABSENT} 0x5 1+1x90",
            counter(STEPS, 'module="b",outcome="Succeeded"'): f"{ABSENT} 0+2x90",
            counter(STEPS, 'module="b",outcome="Failed"'): f"{ABSENT} 0x90",
        },
        80,
        True,
        {"module": "a"},
    ),
    "a module's stars all fail at once": Case(
        "PlatoSasStepsFailing",
        {counter(STEPS, 'module="a",outcome="Failed"'): f"{ABSENT} 0x5 100 200x90"},
        41,
        True,
        {"module": "a"},
    ),
    "a module fails for a tenth of its stars": Case(
        "PlatoSasStepsFailing",
        {
            counter(STEPS, 'module="a",outcome="Succeeded"'): f"{ABSENT} 0+9x90",
            counter(STEPS, 'module="a",outcome="Failed"'): f"{ABSENT} 0x5 1+1x90",
        },
        80,
        False,
    ),
    "nothing runs": Case(
        "PlatoSasStepsFailing", {counter(STEPS, 'module="a",outcome="Failed"'): f"{ABSENT} 0x90"}, 80, False
    ),
}


@pytest.fixture(scope="session")
def groups(render: Any) -> list[Document]:
    documents = render("metrics.prometheusRule.enabled=true", apis=(MONITORING,))
    (rule,) = [item for item in documents if item["kind"] == "PrometheusRule"]
    found: list[Document] = rule["spec"]["groups"]
    return found


def expected(case: Case, groups: list[Document]) -> list[Document]:
    if not case.fires:
        return []
    (rule,) = [rule for group in groups for rule in group["rules"] if rule["alert"] == case.alert]
    annotations = dict(rule["annotations"])
    for key, text in annotations.items():
        for label, value in case.labels.items():
            text = text.replace(f"{{{{ $labels.{label} }}}}", value)
        annotations[key] = text.replace("{{ $value }}", case.value)
        assert "{{" not in annotations[key]
    labels = case.labels
    if "absent(" in rule["expr"]:
        labels = {"namespace": manifests.NAMESPACE}
    return [{"exp_labels": {**rule["labels"], **labels}, "exp_annotations": annotations}]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "promtool is not there: make test-prerequisites"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("situation", CASES)
def test_alert(groups: list[Document], situation: str, tmp_path: Path) -> None:
    case = CASES[situation]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    moment = f"{case.minutes}m"
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "alert_rule_test": [
                    {"eval_time": moment, "alertname": case.alert, "exp_alerts": expected(case, groups)}
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", str(tmp_path / "test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_both_ways(groups: list[Document]) -> None:
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    for fires in (True, False):
        assert {case.alert for case in CASES.values() if case.fires is fires} == alerts


def test_rules_are_valid(groups: list[Document], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
