import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import storage
from e2e.cluster.errors import ClusterError


class Cluster:
    """What ensure_storage needs of a cluster, whose claims are bound at once."""

    def __init__(self, volumes: list[dict[str, Any]]) -> None:
        self.volumes = volumes
        self.calls: list[list[str]] = []
        self.applied = ""

    def node_path(self, path: Path) -> Path:
        return Path("/node") / path.name

    def kubectl(self, arguments: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        self.calls.append(list(arguments))
        if arguments[0] == "apply":
            self.applied = stdin
        if arguments[:2] == ["get", "persistentvolumes"]:
            return json.dumps({"items": self.volumes})
        if arguments[:2] == ["get", "persistentvolumeclaims"]:
            bound = [{"metadata": {"name": name}, "status": {"phase": "Bound"}} for name in storage.CLAIMS]
            return json.dumps({"items": bound})
        return "serviceaccount/default\n"

    def deleted(self) -> list[str]:
        return [call[2] for call in self.calls if call[0] == "delete"]


def volume(claim: str, phase: str, path: str) -> dict[str, Any]:
    return {"metadata": {"name": f"ns-{claim}"}, "status": {"phase": phase}, "spec": {"hostPath": {"path": path}}}


def make(cluster: Cluster, tmp_path: Path) -> tuple[Path, Path]:
    return storage.ensure_storage(cluster, "ns", tmp_path / "inputs", tmp_path / "products")  # type: ignore[arg-type]


def test_the_manifest_binds_each_claim_to_its_own_volume() -> None:
    documents = list(yaml.safe_load_all(storage.manifest("ns", Path("/v/inputs"), Path("/v/products"))))
    namespace, *others = documents
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    volumes = {d["metadata"]["name"]: d["spec"] for d in others if d["kind"] == "PersistentVolume"}
    claims = {d["metadata"]["name"]: d["spec"] for d in others if d["kind"] == "PersistentVolumeClaim"}
    assert set(claims) == set(storage.CLAIMS)
    for name, claim in claims.items():
        bound = volumes[claim["volumeName"]]
        assert bound["claimRef"] == {"namespace": "ns", "name": name}
        assert bound["accessModes"] == claim["accessModes"]
        assert bound["storageClassName"] == claim["storageClassName"] == ""
        assert bound["persistentVolumeReclaimPolicy"] == "Retain"
    assert volumes["ns-sas-products"]["hostPath"] == {"path": "/v/products", "type": "Directory"}


@pytest.mark.parametrize("namespace", ["", "Plato", "a_b", "-a", "a" * 53, "a\nb", "a: {}"])
def test_a_bad_namespace_is_named(namespace: str) -> None:
    with pytest.raises(ClusterError, match="namespace"):
        storage.manifest(namespace, Path("/a"), Path("/b"))


@pytest.mark.parametrize("path", ["relative", "/a b", "/a\nb", "/a: {}"])
def test_a_path_that_would_break_the_manifest_is_named(path: str) -> None:
    with pytest.raises(ClusterError, match="products"):
        storage.manifest("ns", Path("/a"), Path(path))


def test_folders_are_made_for_the_modules_user(tmp_path: Path) -> None:
    cluster = Cluster([])
    inputs, products = make(cluster, tmp_path)
    assert products.is_dir()
    found = products.stat()
    assert found.st_uid == storage.OWNER or found.st_mode & 0o777 == 0o777
    assert "path: /node/inputs," in cluster.applied
    assert inputs == tmp_path / "inputs"


def test_volumes_of_a_deleted_namespace_are_made_anew(tmp_path: Path) -> None:
    cluster = Cluster(
        [volume("sas-inputs", "Released", "/node/inputs"), volume("sas-products", "Bound", "/node/products")]
    )
    make(cluster, tmp_path)
    assert cluster.deleted() == ["ns-sas-inputs"]


def test_a_claim_in_use_is_not_given_another_folder(tmp_path: Path) -> None:
    cluster = Cluster([volume("sas-inputs", "Bound", "/node/elsewhere")])
    with pytest.raises(ClusterError, match="claim sas-inputs is bound to /node/elsewhere, not to /node/inputs"):
        make(cluster, tmp_path)
    assert cluster.deleted() == []
    assert cluster.applied == ""
