"""`kubectl apply -k manifests/base` and the chart with its default values install the same objects."""

import re
import subprocess
from pathlib import Path

import yaml

from e2e.layout import BIN, REPOSITORY
from e2e.setup import manifests
from plato_sas.api import Document

_OF_THE_CLUSTER = {
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
_HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def kustomize(folder: Path) -> list[Document]:
    command = [str(BIN / "kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def by_name(documents: list[Document]) -> dict[tuple[str, str], Document]:
    named = {(item["kind"], item["metadata"]["name"]): item for item in documents}
    assert len(named) == len(documents)
    return named


def without_helm(document: Document) -> Document:
    labels = {key: value for key, value in document["metadata"]["labels"].items() if key not in _HELM_LABELS}
    return {**document, "metadata": {**document["metadata"], "labels": labels}}


def without_namespace(document: Document) -> Document:
    """kustomize takes kinds that it does not know for namespaced ones; the API server drops the namespace."""
    if document["kind"] not in _OF_THE_CLUSTER:
        return document
    return {**document, "metadata": {key: at for key, at in document["metadata"].items() if key != "namespace"}}


def test_base_equals_the_chart() -> None:
    text = manifests.template("--include-crds")
    chart = by_name([without_helm(item) for item in yaml.safe_load_all(text) if item])
    assert by_name([without_namespace(item) for item in kustomize(manifests.BASE)]) == chart
    assert len([kind for kind, _ in chart if kind == "CustomResourceDefinition"]) == 4


def test_generated_files_are_up_to_date() -> None:
    assert [str(path.relative_to(REPOSITORY)) for path in manifests.stale()] == [], "run `make generate`"


def test_restricted_overlay_adds_the_namespace_alone() -> None:
    overlay = by_name(kustomize(REPOSITORY / "manifests" / "overlays" / "restricted"))
    namespace = overlay.pop(("Namespace", manifests.NAMESPACE))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert overlay == by_name(kustomize(manifests.BASE))


def test_base_moves_to_another_namespace(tmp_path: Path) -> None:
    overlay = REPOSITORY / "manifests" / "base"
    (tmp_path / "base").mkdir()
    for path in overlay.iterdir():
        (tmp_path / "base" / path.name).write_text(path.read_text())
    readme = (REPOSITORY / "manifests" / "README.md").read_text()
    (overlay_text,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "kustomization.yaml").write_text(overlay_text)
    documents = kustomize(tmp_path)
    namespaced = [item for item in documents if item["kind"] not in _OF_THE_CLUSTER]
    assert {item["metadata"]["namespace"] for item in namespaced} == {"elsewhere"}
    bindings = [item for item in documents if item["kind"] == "ValidatingAdmissionPolicyBinding"]
    labels = [one["spec"]["matchResources"]["namespaceSelector"]["matchLabels"] for one in bindings]
    assert labels == [{"kubernetes.io/metadata.name": "elsewhere"}] * 3
    (binding,) = [item for item in documents if item["kind"] == "RoleBinding"]
    assert {subject["namespace"] for subject in binding["subjects"]} == {"elsewhere"}
