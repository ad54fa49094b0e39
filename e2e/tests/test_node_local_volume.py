"""What a products volume does that one node alone can mount: a ReadWriteOnce class of the usual kind.

Kubernetes puts every pod that uses it on that node, the operator's too. Needs several nodes: CLUSTER=kind.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import KindCluster, connect
from e2e.cluster.choice import recorded
from e2e.cluster.storage import OWNER
from e2e.install.release import install, uninstall
from e2e.kubernetes import apply, get, kubectl
from e2e.layout import VOLUMES
from e2e.tests.site import Site, steps, until
from plato_sas.api import Document

if recorded() != "kind":
    pytest.skip("the platform has one node; these tests need several: CLUSTER=kind", allow_module_level=True)

_NAMESPACE = "plato-e2e-node-local"
_CLASS = "plato-e2e-node-local"
_STARS = 4


@pytest.fixture(scope="module")
def platform() -> KindCluster:
    found = connect()
    assert isinstance(found, KindCluster)
    return found


@pytest.fixture(scope="module")
def home(platform: KindCluster) -> str:
    """The node that has the volume."""
    return platform.workers[-1]


@pytest.fixture(scope="module")
def site(platform: KindCluster, home: str) -> Iterator[Site]:
    """An operator in a namespace whose products are on a volume of that node."""
    folder = VOLUMES / "namespaces" / _NAMESPACE
    _remove(folder)
    inputs, products = folder / "inputs", folder / "products"
    for one in (inputs, products):
        one.mkdir(parents=True)
        os.chown(one, OWNER, OWNER)
    apply([_namespace(), _storage_class(), *_volumes(platform, inputs, products, home)])
    apply(_claims(), namespace=_NAMESPACE)
    install(_NAMESPACE)
    yield Site(_NAMESPACE, inputs, products)
    uninstall(_NAMESPACE)
    _remove(folder)


@pytest.fixture(scope="module")
def steady(site: Site) -> str:
    site.synthetic("steady", outputs=["IDP_A"])
    site.pipeline("steady", [{"name": "one", "module": "steady"}])
    return "steady"


def test_all_stars_run_on_the_volumes_node(site: Site, steady: str, home: str) -> None:
    names = [f"home-{number}" for number in range(_STARS)]
    for name in names:
        site.start(name, pipeline=steady, parameters={"one": {"sleep_s": 2}})
    for name in names:
        assert site.finished(name)["state"] == "Succeeded"
    assert {site.manifest(name, "one")["node"] for name in names} == {home}


def test_a_star_waits_for_the_volumes_node_and_says_so(site: Site, steady: str, home: str) -> None:
    kubectl("cordon", home)
    try:
        site.start("waits", pipeline=steady)
        waiting = until(lambda: _unschedulable(site, "waits"), "the star says that no node can take it", 60)
    finally:
        kubectl("uncordon", home)
    assert "node(s) were unschedulable" in waiting["message"]
    assert "didn't match PersistentVolume's node affinity" in waiting["message"]
    assert site.finished("waits")["state"] == "Succeeded"
    assert site.manifest("waits", "one")["node"] == home


def _unschedulable(site: Site, star: str) -> Document | None:
    one = steps(site.star(star).get("status", {})).get("one")
    return one if one and one.get("reason") == "Unschedulable" else None


def _remove(folder: Path) -> None:
    kubectl("delete", "namespace", _NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=130)
    volumes = [one["metadata"]["name"] for one in get("persistentvolumes", namespace=_NAMESPACE)]
    for name in volumes:
        if name.startswith(_NAMESPACE):
            kubectl("delete", "persistentvolume", name, "--timeout=30s")
    kubectl("delete", "storageclass", _CLASS, "--ignore-not-found")
    shutil.rmtree(folder, ignore_errors=True)


def _namespace() -> Document:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE, "labels": labels}}


def _storage_class() -> Document:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": _CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _volumes(platform: KindCluster, inputs: Path, products: Path, home: str) -> list[Document]:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [home]}]}
    local = {
        "storageClassName": _CLASS,
        "accessModes": ["ReadWriteOnce"],
        "local": {"path": str(platform.node_path(products))},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    shared = {
        "storageClassName": "",
        "accessModes": ["ReadOnlyMany"],
        "hostPath": {"path": str(platform.node_path(inputs)), "type": "Directory"},
        "claimRef": {"namespace": _NAMESPACE, "name": "sas-inputs"},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{_NAMESPACE}-{name}"},
            "spec": {"capacity": {"storage": "1Gi"}, "persistentVolumeReclaimPolicy": "Retain", **spec},
        }
        for name, spec in (("products", local), ("inputs", shared))
    ]


def _claims() -> list[Document]:
    modes = {"sas-products": (_CLASS, "ReadWriteOnce"), "sas-inputs": ("", "ReadOnlyMany")}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {
                "storageClassName": storage_class,
                "accessModes": [mode],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        for name, (storage_class, mode) in modes.items()
    ]
