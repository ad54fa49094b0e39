"""Everything that is installed, checked against the schemas of the real API server."""

import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.layout import BIN, REPOSITORY
from e2e.setup import manifests, schemas
from plato_sas.api import Document

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}
POD_TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}
SELECTOR = {"matchLabels": {"a": "b"}}


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("schemas")
    assert schemas.write(folder) > 100
    return str(folder / Path(schemas.LOCATION).name)


def kubeconform(location: str, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "kubeconform"), "-strict", "-summary", "-schema-location", location, *options, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.integration
def test_default_chart_and_crds_conform(location: str) -> None:
    done = kubeconform(location, manifests.template("--include-crds"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid: 18, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


@pytest.mark.integration
def test_every_option_conforms(location: str) -> None:
    values = [
        "storage.inputs.create=true",
        "storage.products.create=true",
        "storage.products.storageClassName=fast",
        "storage.products.volumeName=disk",
        "rbac.airflow.serviceAccount.create=true",
        "rbac.user.subjects[0].kind=Group",
        "rbac.user.subjects[0].name=sas:operators",
        "serviceAccount.annotations.a=b",
        "podAnnotations.a=b",
        "podLabels.a=b",
        "nodeSelector.a=b",
        "tolerations[0].key=a",
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=a",
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists",
        "priorityClassName=high",
        "images.pullSecrets={one}",
        "controller.verbose=true",
        "metrics.grafanaDashboard.enabled=true",
        "metrics.serviceMonitor.enabled=true",
        "metrics.prometheusRule.enabled=true",
    ]
    arguments = [argument for value in values for argument in ("--set", value)]
    text = manifests.template("--api-versions", "monitoring.coreos.com/v1", *arguments)
    # The API server has no schema of what belongs to the Prometheus Operator.
    done = kubeconform(location, text, "-skip", "ServiceMonitor,PrometheusRule")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 2" in done.stdout


@pytest.mark.integration
def test_kustomize_overlay_conforms(location: str) -> None:
    overlay = REPOSITORY / "manifests" / "overlays" / "restricted"
    command = [str(BIN / "kubectl"), "kustomize", str(overlay)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    done = kubeconform(location, text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid: 19, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


@pytest.mark.integration
@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**DEPLOYMENT, "spec": {"template": POD_TEMPLATE}}, "selector"),
        ({**DEPLOYMENT, "spec": {"template": POD_TEMPLATE, "selector": SELECTOR, "replica": 1}}, "replica"),
        ({**DEPLOYMENT, "spec": {"template": POD_TEMPLATE, "selector": SELECTOR, "replicas": "one"}}, "replicas"),
        ({"apiVersion": "apps/v2", "kind": "Deployment", "metadata": {"name": "x"}}, "could not find schema"),
        ({"apiVersion": "plato-sas.io/v1alpha1", "kind": "StarProcessing", "metadata": {"name": "x"}}, "spec"),
    ],
)
def test_wrong_documents_do_not_conform(location: str, document: Document, message: str) -> None:
    done = kubeconform(location, yaml.safe_dump(document))
    assert done.returncode != 0
    assert message in done.stdout


def test_strict_admits_only_named_fields() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {}}, "b": {"$ref": "#/definitions/B"}},
    }
    assert schemas.strict(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "a": {"type": "object", "properties": {}, "additionalProperties": False},
            "b": {"$ref": "#/definitions/B"},
        },
    }


def test_strict_translates_the_extensions() -> None:
    assert schemas.strict({"x-kubernetes-int-or-string": True}) == {"type": ["integer", "string"]}
    assert schemas.strict({"type": "string", "nullable": True}) == {"type": ["string", "null"]}
    free = {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": True}
    assert schemas.strict(free) == {"type": "object", "properties": {}}
    # A field may have the name of a keyword.
    assert schemas.strict({"properties": {"$ref": {"type": "string"}}})["properties"] == {"$ref": {"type": "string"}}


@pytest.mark.parametrize(
    ("group", "version", "kind", "name"),
    [
        ("", "v1", "Pod", "pod-v1.json"),
        ("apps", "v1", "Deployment", "deployment-apps-v1.json"),
        ("rbac.authorization.k8s.io", "v1", "Role", "role-rbac-v1.json"),
    ],
)
def test_file_names_are_kubeconforms(group: str, version: str, kind: str, name: str) -> None:
    assert schemas.file_name(group, version, kind) == name
