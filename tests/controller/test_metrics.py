"""What an operator exports before anything has happened."""

import subprocess
import sys

import pytest

_EXPORT = """
from prometheus_client import generate_latest
from plato_sas.controller import metrics
metrics.announce_module("m")
print(generate_latest().decode())
"""


@pytest.fixture(scope="module")
def exported() -> dict[str, float]:
    """The samples of a process of its own: this one's have counted what other tests did."""
    done = subprocess.run([sys.executable, "-c", _EXPORT], capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in done.stdout.splitlines() if line.startswith("plato_sas_")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.mark.parametrize(
    "sample",
    [
        'plato_sas_api_requests_total{code="error",method="PATCH"}',
        "plato_sas_archive_errors_total",
        'plato_sas_log_errors_total{at="fetch"}',
        'plato_sas_log_errors_total{at="write"}',
        'plato_sas_logs_total{outcome="incomplete"}',
        'plato_sas_reconcile_duration_seconds_count{kind="StarCatalogue",outcome="error"}',
        'plato_sas_reconcile_errors_total{kind="StarProcessing"}',
        'plato_sas_step_duration_seconds_count{module="m"}',
        'plato_sas_step_retries_total{failure_class="OutOfMemory",module="m"}',
        'plato_sas_steps_total{module="m",outcome="Cancelled"}',
        'plato_sas_steps_total{module="m",outcome="Failed"}',
    ],
)
def test_a_counter_begins_with_zero(exported: dict[str, float], sample: str) -> None:
    assert exported[sample] == 0


def test_no_series_is_made_of_what_is_not_counted(exported: dict[str, float]) -> None:
    assert not [sample for sample in exported if 'failure_class="Science"' in sample or 'outcome="Running"' in sample]
