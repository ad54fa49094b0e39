"""Fixtures of the Airflow package's tests; those on the real API server use a namespace of their own."""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before the first import of airflow: it would write a configuration into the user's home.
os.environ.setdefault("AIRFLOW_HOME", str(Path(__file__).resolve().parents[2] / ".local" / "airflow-unit"))

import pytest

from plato_sas_airflow.batches.batch import Batch
from plato_sas_airflow.stars.star import Star
from tests.plato_sas_airflow.testbed import CONNECTION, KUBECONFIG, REPOSITORY, Cluster, kubectl


@pytest.fixture(scope="session")
def crds() -> None:
    assert KUBECONFIG.exists(), f"{KUBECONFIG} is missing: the integration tests need the cluster (make cluster)"
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds"))
    kubectl("wait", "--for=condition=Established", "crd/starprocessings.plato-sas.io", "--timeout=30s")


@pytest.fixture
def cluster(crds: None) -> Iterator[Cluster]:
    """A fresh namespace; it goes with all that is in it."""
    namespace = f"plato-sas-airflow-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    try:
        yield Cluster(namespace)
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> str:
    """An Airflow connection to the cluster."""
    extra = {"kube_config_path": str(KUBECONFIG)}
    value = json.dumps({"conn_type": "kubernetes", "extra": extra})
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", value)
    return CONNECTION


@pytest.fixture
def make_batch(cluster: Cluster) -> Callable[..., Batch]:
    """A batch in the test's namespace."""

    def make(*stars: str, **changes: Any) -> Batch:
        given = {"id": "batch-a", "campaign": "Q1", "pipeline": "sas-demo", "namespace": cluster.namespace}
        return Batch(stars=[Star(star) for star in stars], **{**given, **changes})

    return make
