"""The API server of the test platform, as its kubeconfig names it."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.layout import KUBECONFIG

COLLECTIONS = {
    "starprocessings": "/apis/plato-sas.io/v1alpha1/namespaces/{namespace}/starprocessings",
    "starpipelines": "/apis/plato-sas.io/v1alpha1/namespaces/{namespace}/starpipelines",
    "sciencemodules": "/apis/plato-sas.io/v1alpha1/namespaces/{namespace}/sciencemodules",
    "starcatalogues": "/apis/plato-sas.io/v1alpha1/namespaces/{namespace}/starcatalogues",
    "jobs": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "pods": "/api/v1/namespaces/{namespace}/pods",
}
"""Paths on the API server, by plural."""


@dataclass(frozen=True)
class Endpoint:
    """Where the API server is, and how it and its clients authenticate each other."""

    server: str
    authority: ssl.SSLContext
    """Trusts the cluster's authority; for clients that bring a token."""
    administrator: ssl.SSLContext
    """The same, with the administrator's certificate."""


def endpoint(kubeconfig: Path = KUBECONFIG) -> Endpoint:
    """Raises FileNotFoundError if there is no cluster."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    administrator = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory() as folder:  # ssl reads a certificate with its key from files only
        files = []
        for key in ("client-certificate-data", "client-key-data"):
            file = Path(folder, key)
            file.touch(mode=0o600)
            file.write_bytes(base64.b64decode(user[key]))
            files.append(str(file))
        administrator.load_cert_chain(*files)
    return Endpoint(cluster["server"], ssl.create_default_context(cadata=authority), administrator)
