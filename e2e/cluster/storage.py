"""The namespace of the pipelines and its volumes."""

import json
import os
import re
from pathlib import Path
from string import Template
from typing import Any

from e2e.cluster.errors import ClusterError
from e2e.cluster.provider import Provider
from e2e.cluster.waiting import wait_until
from e2e.layout import VOLUMES

NAMESPACE = "plato"
OWNER = 10001
"""User and group of all containers of module pods."""
CLAIMS = ("sas-inputs", "sas-products")

_TEMPLATE = Path(__file__).with_name("storage.yaml")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?")
_SAFE_PATH = re.compile(r"[\w./+@-]+")


def default_folders(namespace: str) -> tuple[Path, Path]:
    """Inputs and products of a namespace: directly in the volumes' folder for the pipelines' own."""
    parent = VOLUMES if namespace == NAMESPACE else VOLUMES / "namespaces" / namespace
    return parent / "inputs", parent / "products"


def storage_template() -> str:
    """The manifest before names and folders are filled in."""
    return _TEMPLATE.read_text()


def manifest(namespace: str, inputs: Path, products: Path) -> str:
    """The manifest, for folders of the node. Raises ClusterError for a name that Kubernetes would refuse."""
    if not _DNS_LABEL.fullmatch(namespace):
        raise ClusterError(f"namespace: {namespace!r} is no name of lower-case letters, digits and '-', at most 52")
    for name, path in (("inputs", inputs), ("products", products)):
        if not path.is_absolute() or not _SAFE_PATH.fullmatch(str(path)):
            raise ClusterError(f"{name}: {str(path)!r} is no absolute path of letters, digits and _ . / + @ -")
    return Template(storage_template()).substitute(namespace=namespace, inputs=inputs, products=products)


def _make_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    found = path.stat()
    if (found.st_uid, found.st_gid) != (OWNER, OWNER):
        try:
            os.chown(path, OWNER, OWNER)
        except PermissionError:
            # Not root (a kind cluster of a user's own): then anyone may write, or no module could.
            path.chmod(0o777)
    return path.resolve()


def _drop_stale_volumes(provider: Provider, namespace: str, folders: dict[str, str]) -> None:
    """Delete the volume objects that no claim can have any more, or that stand for another folder.

    Deleting a namespace leaves its volumes Released, bound for ever to claims that are gone. The folders stay.
    """
    output = provider.kubectl(["get", "persistentvolumes", "--output=json"])
    volumes: dict[str, Any] = {item["metadata"]["name"]: item for item in json.loads(output)["items"]}
    for claim, folder in folders.items():
        volume = volumes.get(f"{namespace}-{claim}")
        if volume is None:
            continue
        phase, kept = volume["status"].get("phase"), volume["spec"].get("hostPath", {}).get("path")
        if phase == "Bound" and kept != folder:
            raise ClusterError(f"namespace {namespace}: its claim {claim} is bound to {kept}, not to {folder}")
        if phase in ("Released", "Failed") or kept != folder:
            provider.kubectl(["delete", "persistentvolume", f"{namespace}-{claim}", "--timeout=30s"])


def ensure_storage(
    provider: Provider, namespace: str = NAMESPACE, inputs_dir: Path | None = None, products_dir: Path | None = None
) -> tuple[Path, Path]:
    """Make the namespace (Pod Security level `restricted`) with its claims, each bound to a folder of this machine.

    Returns the folders of inputs and products. Raises ClusterError.
    """
    inputs, products = default_folders(namespace)
    inputs, products = _make_folder(inputs_dir or inputs), _make_folder(products_dir or products)
    on_node = {"sas-inputs": provider.node_path(inputs), "sas-products": provider.node_path(products)}
    text = manifest(namespace, on_node["sas-inputs"], on_node["sas-products"])
    _drop_stale_volumes(provider, namespace, {claim: str(path) for claim, path in on_node.items()})
    provider.kubectl(["apply", "--server-side", "--field-manager=plato-sas-platform", "--filename=-"], stdin=text)

    def unready() -> str:
        output = provider.kubectl(["get", "persistentvolumeclaims", f"--namespace={namespace}", "--output=json"])
        phases = {i["metadata"]["name"]: i["status"].get("phase") for i in json.loads(output)["items"]}
        unbound = [f"{claim} is {phases.get(claim, 'missing')}" for claim in CLAIMS if phases.get(claim) != "Bound"]
        if unbound:
            return ", ".join(unbound)
        accounts = provider.kubectl(["get", "serviceaccounts", f"--namespace={namespace}", "--output=name"])
        return "" if "serviceaccount/default" in accounts.split() else "no service account `default` yet"

    wait_until(unready, what=f"storage of namespace {namespace}", timeout=60)
    return inputs, products
