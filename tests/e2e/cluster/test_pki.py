import base64
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from e2e.cluster import pki


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "pki"
    wanted = pki.identities(node="n1", address="198.51.100.1", service_address="10.96.0.1")
    pki.write(target, wanted, server="https://198.51.100.1:6443")
    return target


def test_every_private_file_is_its_owners_alone(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_the_certificates_are_the_authoritys(folder: Path) -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    certificates = [path for path in folder.glob("*.crt") if path.name != "ca.crt"]
    assert len(certificates) == 11
    for path in certificates:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        certificate.verify_directly_issued_by(authority)
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(path, path.with_suffix(".key"))


def test_the_api_server_is_known_by_its_addresses(folder: Path) -> None:
    certificate = x509.load_pem_x509_certificate((folder / "apiserver.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(a) for a in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "198.51.100.1", "10.96.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_the_kubelet_is_a_node_to_kubernetes(folder: Path) -> None:
    subject = x509.load_pem_x509_certificate((folder / "kubelet.crt").read_bytes()).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:n1"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"


def test_a_kubeconfig_holds_everything(folder: Path) -> None:
    document = json.loads((folder / "admin.kubeconfig").read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://198.51.100.1:6443"
    user = document["users"][0]["user"]
    assert base64.b64decode(user["client-certificate-data"]) == (folder / "admin.crt").read_bytes()


def test_what_a_crash_left_half_made_is_made_anew(tmp_path: Path) -> None:
    partial = tmp_path / ".pki.new"
    partial.mkdir()
    (partial / "ca.crt").write_text("half")
    pki.write(tmp_path / "pki", [pki.Identity("admin", "a", kubeconfig=True)], server="https://x")
    assert (tmp_path / "pki" / "ca.crt").read_text().startswith("-----BEGIN CERTIFICATE")
    assert not partial.exists()
