"""The certificates of the local cluster: one authority, and a certificate for every component."""

import base64
import datetime
import ipaddress
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALIDITY = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class Authority:
    """A certificate authority, in memory."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _name(common_name: str, organisation: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    # An hour back: another clock (a container, a host) may be a little behind this one.
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALIDITY)
    )


def make_authority() -> Authority:
    """A new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("plato-sas-test-platform")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def issue(
    authority: Authority, common_name: str, *, organisation: str = "", names: Iterable[str] = ()
) -> tuple[bytes, bytes]:
    """A certificate and its key, as PEM: a client's, and also a server's if it has `names` (addresses or DNS names)."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [_alternative(name) for name in names]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if alternatives else [])
    builder = (
        _builder(_name(common_name, organisation), authority.certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return _pem(builder.sign(authority.key, hashes.SHA256())), _key_pem(key)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(frozen=True)
class Identity:
    """One component's certificate."""

    file: str
    common_name: str
    organisation: str = ""
    names: tuple[str, ...] = ()
    kubeconfig: bool = False


def identities(*, node: str, address: str, service_address: str) -> list[Identity]:
    """Who the cluster knows. Users and groups are Kubernetes' own (RBAC and node authorisation bind to them)."""
    domain = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    local = ("localhost", "127.0.0.1")
    return [
        Identity("etcd", "etcd", names=local),
        Identity("etcd-client", "kube-apiserver"),
        Identity("apiserver", "kube-apiserver", names=(*local, address, service_address, *domain)),
        Identity("kubelet-client", "kube-apiserver", "system:masters"),
        Identity("component", "component", names=local),
        Identity("controller-manager", "system:kube-controller-manager", kubeconfig=True),
        Identity("scheduler", "system:kube-scheduler", kubeconfig=True),
        Identity("proxy", "system:kube-proxy", kubeconfig=True),
        # No role of Kubernetes' own lets a node's program read the pods and policies of every namespace.
        Identity("router", "kube-router", "system:masters", kubeconfig=True),
        Identity("kubelet", f"system:node:{node}", "system:nodes", (node, address, *local), kubeconfig=True),
        Identity("admin", "plato-sas-admin", "system:masters", kubeconfig=True),
    ]


def kubeconfig(*, server: str, authority: bytes, certificate: bytes, key: bytes, user: str) -> str:
    """A kubeconfig with everything in it (JSON, which is YAML)."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    cluster = {"server": server, "certificate-authority-data": encoded(authority)}
    account = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "plato-sas",
        "clusters": [{"name": "plato-sas", "cluster": cluster}],
        "users": [{"name": user, "user": account}],
        "contexts": [{"name": "plato-sas", "context": {"cluster": "plato-sas", "user": user}}],
    }
    return json.dumps(document, indent=2) + "\n"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def write(folder: Path, wanted: Sequence[Identity], *, server: str) -> None:
    """Make every certificate and kubeconfig in `folder`, which appears whole or not at all."""
    partial = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    authority = make_authority()
    authority_pem = _pem(authority.certificate)
    write_private(partial / "ca.crt", authority_pem)
    for identity in wanted:
        certificate, key = issue(
            authority, identity.common_name, organisation=identity.organisation, names=identity.names
        )
        write_private(partial / f"{identity.file}.crt", certificate)
        write_private(partial / f"{identity.file}.key", key)
        if identity.kubeconfig:
            text = kubeconfig(
                server=server, authority=authority_pem, certificate=certificate, key=key, user=identity.common_name
            )
            write_private(partial / f"{identity.file}.kubeconfig", text.encode())
    signing = ec.generate_private_key(ec.SECP256R1())
    public = signing.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(partial / "service-account.key", _key_pem(signing))
    write_private(partial / "service-account.pub", public)
    partial.rename(folder)
