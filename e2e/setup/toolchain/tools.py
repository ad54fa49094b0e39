"""Which Go programs there are, and how each is built."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from e2e.layout import REPOSITORY

KUBERNETES = "1.36.3"
KIND = "sigs.k8s.io/kind@v0.33.0"
_CLUSTER = REPOSITORY / "e2e" / "cluster"


def _version_flags(version: str) -> str:
    """Linker flags that make the binaries report the version they are built from.

    An unset version reads v0.0.0-master: kubectl then warns of version skew, and the API server's compatibility
    checks (emulation version) have nothing to compare. Variables: k8s.io/component-base/version/base.go.
    """
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


@dataclass(frozen=True)
class Tool:
    """One program. Either `source` (a module of this repository) or `module` (a published one, at a version)."""

    name: str
    source: Path | None = None
    package: str = "."
    module: str = ""
    links: tuple[str, ...] = ()
    """Further names of the binary. A multi-call binary runs the component it is started as."""
    ldflags: str = "-s -w"
    providers: frozenset[str] = field(default_factory=frozenset[str])
    """The cluster providers that need it; empty: built on request by name only."""
    expected: str = ""
    """How long a first build takes on two cores, where that is worth mentioning."""

    def stamp(self) -> str:
        """A digest of everything that decides what the binary is, except the Go release."""
        recipe = asdict(self) | {"source": None, "providers": None, "expected": None}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
        for path in sorted(self.source.rglob("*")) if self.source else ():
            if path.suffix == ".go" or path.name in ("go.mod", "go.sum"):
                digest.update(f"\0{path.relative_to(self.source or path)}\0".encode() + path.read_bytes())
        return digest.hexdigest()


_BOTH = frozenset({"kind", "local"})
_LOCAL = frozenset({"local"})
_KIND = frozenset({"kind"})

TOOLS = (
    Tool(
        "kube",
        source=_CLUSTER / "kube",
        links=(
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-router",
            "kube-scheduler",
            "kubeadm",
            "kubectl",
            "kubelet",
        ),
        ldflags=f"-s -w {_version_flags(KUBERNETES)}",
        providers=_LOCAL,
        expected="about 7 minutes the first time",
    ),
    Tool(
        "kubectl",
        source=_CLUSTER / "kube",
        package="./kubectl",
        ldflags=f"-s -w {_version_flags(KUBERNETES)}",
        providers=_KIND,
        expected="about 2 minutes the first time",
    ),
    Tool("pause", source=_CLUSTER / "pause", providers=_LOCAL),
    Tool("probe", source=_CLUSTER / "probe", providers=_BOTH),
    Tool(
        "helm",
        module="helm.sh/helm/v3/cmd/helm@v3.22.0",
        ldflags="-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0",
        providers=_BOTH,
        expected="about a minute the first time",
    ),
    Tool("kubeconform", module="github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0", providers=_BOTH),
    Tool("kind", module=KIND, providers=_KIND),
    Tool("kwok", module="sigs.k8s.io/kwok/cmd/kwok@v0.8.0", expected="about 2 minutes the first time"),
)


def for_provider(provider: str) -> list[Tool]:
    """What the cluster of `provider` (`kind` or `local`) and its tests need."""
    return [tool for tool in TOOLS if provider in tool.providers]


def named(name: str, provider: str) -> Tool:
    """The tool of that name; where two make the same name (kubectl), the provider's. Raises KeyError."""
    fitting = [tool for tool in TOOLS if tool.name == name or name in tool.links]
    if not fitting:
        raise KeyError(name)
    return next((tool for tool in fitting if provider in tool.providers), fitting[0])
