"""The components of the local cluster: how each is started, and how one sees that it is ready."""

from collections.abc import Callable
from dataclasses import dataclass

from e2e.cluster import settings as names
from e2e.cluster.probes import containerd_answers, http_ok
from e2e.cluster.settings import Settings

# By default a controller makes 20 requests a second, which is less than six Jobs.
_FAST = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclass(frozen=True)
class Component:
    """One process of the cluster."""

    name: str
    listens: tuple[tuple[str, int], ...]
    """Addresses and ports that it needs for itself."""
    command: tuple[str, ...]
    ready: Callable[[], str]
    """Empty when it is ready, else what is wrong."""
    after: tuple[str, ...] = ()
    """What must be ready before it is started."""
    grace_seconds: float = 5.0
    """How long it may take to end by itself."""


def components(settings: Settings) -> list[Component]:
    """Every component, in the order of starting."""
    makers = (_etcd, _containerd, _apiserver, _controller_manager, _scheduler, _kubelet, _proxy, _router)
    return [make(settings) for make in makers]


def _binary(settings: Settings, name: str) -> str:
    return str(settings.binaries / name)


def _etcd(settings: Settings) -> Component:
    ports, pki = settings.ports, settings.pki
    client, peer = f"https://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    metrics = f"http://127.0.0.1:{ports.etcd_metrics}"
    command = (
        _binary(settings, "etcd"),
        f"--name={names.NODE}",
        f"--data-dir={settings.state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={names.NODE}={peer}",
        f"--listen-metrics-urls={metrics}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki / 'ca.crt'}",
        "--log-level=warn",
        # Writes are not forced to the disk: a killed process loses nothing, a machine that loses power may. A test
        # cluster is made anew after a restart of the machine anyhow, and a shared disk's latency is not measured.
        "--unsafe-no-fsync",
    )
    listens = tuple(("127.0.0.1", port) for port in (ports.etcd, ports.etcd_peer, ports.etcd_metrics))
    return Component("etcd", listens, command, lambda: http_ok(f"{metrics}/readyz"))


def _containerd(settings: Settings) -> Component:
    command = ("containerd", f"--config={settings.config / 'containerd.toml'}", "--log-level=warn")
    return Component("containerd", (), command, lambda: containerd_answers(settings), grace_seconds=10.0)


def _apiserver(settings: Settings) -> Component:
    ports, pki = settings.ports, settings.pki
    command = (
        _binary(settings, "kube-apiserver"),
        f"--bind-address={settings.address}",
        f"--advertise-address={settings.address}",
        f"--secure-port={ports.apiserver}",
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        # Else `kubectl logs` and `exec` look up the node's name, which no name server knows.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--service-cluster-ip-range={names.SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        # As on other clusters: Pod Security admission decides whether a privileged pod may run.
        "--allow-privileged=true",
    )
    listens = ((settings.address, ports.apiserver),)
    ready = f"{settings.server}/readyz"
    return Component(
        "kube-apiserver", listens, command, lambda: http_ok(ready, authority=pki / "ca.crt"), after=("etcd",)
    )


def _controller_manager(settings: Settings) -> Component:
    return _control_loop(
        settings,
        "kube-controller-manager",
        settings.ports.controller_manager,
        "healthz",
        f"--root-ca-file={settings.pki / 'ca.crt'}",
        f"--service-account-private-key-file={settings.pki / 'service-account.key'}",
        "--use-service-account-credentials=true",
        *_FAST,
    )


def _scheduler(settings: Settings) -> Component:
    return _control_loop(settings, "kube-scheduler", settings.ports.scheduler, "readyz", *_FAST)


def _control_loop(settings: Settings, name: str, port: int, probe: str, *arguments: str) -> Component:
    """A component that does nothing but work on what the API server holds."""
    pki = settings.pki
    command = (
        _binary(settings, name),
        f"--kubeconfig={pki / name.removeprefix('kube-')}.kubeconfig",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki / 'component.crt'}",
        f"--tls-private-key-file={pki / 'component.key'}",
        *arguments,
        "--leader-elect=false",  # there is but one
    )
    ready = f"https://127.0.0.1:{port}/{probe}"
    return Component(
        name,
        (("127.0.0.1", port),),
        command,
        lambda: http_ok(ready, authority=pki / "ca.crt"),
        after=("kube-apiserver",),
    )


def _kubelet(settings: Settings) -> Component:
    ports = settings.ports
    command = (
        _binary(settings, "kubelet"),
        f"--config={settings.config / 'kubelet.yaml'}",
        f"--kubeconfig={settings.pki / 'kubelet.kubeconfig'}",
        f"--root-dir={settings.state / 'kubelet'}",
        f"--node-ip={settings.address}",
        f"--hostname-override={names.NODE}",
    )
    ready = f"http://127.0.0.1:{ports.kubelet_health}/healthz"
    return Component(
        "kubelet",
        ((settings.address, ports.kubelet), ("127.0.0.1", ports.kubelet_health)),
        command,
        lambda: http_ok(ready),
        after=("containerd", "kube-apiserver"),
    )


def _proxy(settings: Settings) -> Component:
    ports = settings.ports
    command = (_binary(settings, "kube-proxy"), f"--config={settings.config / 'kube-proxy.yaml'}")
    ready = f"http://127.0.0.1:{ports.proxy_health}/healthz"
    return Component(
        "kube-proxy",
        (("127.0.0.1", ports.proxy_health), ("127.0.0.1", ports.proxy_metrics)),
        command,
        lambda: http_ok(ready),
        after=("kube-apiserver",),
    )


def _router(settings: Settings) -> Component:
    """What enforces NetworkPolicies. It needs the Node object, which the kubelet makes."""
    address = f"127.0.0.1:{settings.ports.router_health}"
    command = (
        _binary(settings, "kube-router"),
        f"--kubeconfig={settings.pki / 'router.kubeconfig'}",
        f"--hostname-override={names.NODE}",
        f"--service-cluster-ip-range={names.SERVICE_NETWORK}",
        f"--healthz-bind-address={address}",
    )
    return Component(
        "kube-router",
        (("127.0.0.1", settings.ports.router_health),),
        command,
        lambda: http_ok(f"http://{address}/healthz"),
        after=("kubelet",),
    )
