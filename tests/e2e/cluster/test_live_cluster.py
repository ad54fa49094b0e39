"""The platform gives what a real cluster gives. Runs on the one that is up, or brings it up."""

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import cluster, layout
from e2e.cluster import ClusterError, LocalCluster, Provider
from e2e.cluster.waiting import wait_until

pytestmark = pytest.mark.e2e

IMAGE = "localhost/plato-sas/probe:0.1.0"
CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    platform = cluster.connect()
    platform.up()
    archive = tmp_path_factory.mktemp("probe") / "probe.tar"
    cluster.write_program_image(archive, layout.BIN / "probe", reference=IMAGE)
    platform.load([archive])
    return platform


def remove(platform: Provider, name: str) -> None:
    """Delete a test's namespace, its volumes and their folders."""
    platform.kubectl(["delete", "namespace", name, "--timeout=90s"], timeout=100)
    volumes = [f"persistentvolume/{name}-{claim}" for claim in ("sas-inputs", "sas-products")]
    platform.kubectl(["delete", *volumes, "--timeout=60s"], timeout=70)
    shutil.rmtree(layout.VOLUMES / "namespaces" / name)


@pytest.fixture(scope="module")
def namespace(platform: Provider) -> Iterator[str]:
    name = f"platform-test-{secrets.token_hex(3)}"
    cluster.ensure_storage(platform, name)
    yield name
    remove(platform, name)


def pod(name: str, *arguments: str, mounts: list[dict[str, Any]] | None = None, **container: Any) -> dict[str, Any]:
    """A pod as the restricted level wants it, that runs the probe."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "args": list(arguments),
                    "securityContext": CONTAINER,
                    "volumeMounts": mounts or [],
                    **container,
                }
            ],
            "volumes": [
                {"name": claim, "persistentVolumeClaim": {"claimName": claim}}
                for claim in ("sas-inputs", "sas-products")
            ],
        },
    }


def create(platform: Provider, namespace: str, document: dict[str, Any]) -> str:
    platform.kubectl(["create", f"--namespace={namespace}", "--filename=-"], stdin=yaml.safe_dump(document))
    return str(document["metadata"]["name"])


def state(platform: Provider, namespace: str, name: str) -> dict[str, Any]:
    found = yaml.safe_load(platform.kubectl(["get", "pod", name, f"--namespace={namespace}", "--output=json"]))
    statuses = found["status"].get("containerStatuses") or [{"state": {}}]
    current: dict[str, Any] = statuses[0]["state"]
    return current


def wait_for(platform: Provider, namespace: str, name: str, wanted: str) -> dict[str, Any]:
    """Wait until the pod's container is `running` or `terminated`; returns that state."""

    def other() -> str:
        now = state(platform, namespace, name)
        return "" if wanted in now else f"pod {name} is {now}"

    wait_until(other, what=f"pod {name}", timeout=60)
    current: dict[str, Any] = state(platform, namespace, name)[wanted]
    return current


def logs(platform: Provider, namespace: str, name: str) -> str:
    return platform.kubectl(["logs", name, f"--namespace={namespace}"])


def test_a_module_like_pod_reads_its_input_and_writes_its_output(platform: Provider, namespace: str) -> None:
    volumes = layout.VOLUMES / "namespaces" / namespace
    (volumes / "inputs" / "kic1").mkdir()
    (volumes / "inputs" / "kic1" / "LC").write_text("flux\n")
    out = volumes / "products" / "kic1" / "out"
    out.mkdir(parents=True)
    os.chown(out, 10001, 10001)
    mounts = [
        {"name": "sas-inputs", "mountPath": "/sas/in/LC", "subPath": "kic1/LC", "readOnly": True},
        {"name": "sas-products", "mountPath": "/sas/out", "subPath": "kic1/out"},
    ]
    name = create(platform, namespace, pod("copy", "copy", "/sas/in/LC", "/sas/out/LC", mounts=mounts))
    assert wait_for(platform, namespace, name, "terminated")["exitCode"] == 0
    assert logs(platform, namespace, name) == "flux\n"
    written = out / "LC"
    assert written.read_text() == "flux\n"
    assert (written.stat().st_uid, written.stat().st_gid) == (10001, 10001)


@pytest.mark.parametrize(("mount", "target"), [("/sas/in", "/sas/in/x"), (None, "/x")], ids=["input", "root"])
def test_inputs_and_the_root_cannot_be_written(
    platform: Provider, namespace: str, mount: str | None, target: str
) -> None:
    mounts = [{"name": "sas-inputs", "mountPath": mount, "readOnly": True}] if mount else []
    name = f"write-{'input' if mount else 'root'}"
    create(platform, namespace, pod(name, "copy", "/proc/self/comm", target, mounts=mounts))
    assert wait_for(platform, namespace, name, "terminated")["exitCode"] == 1
    assert "read-only file system" in logs(platform, namespace, name)


def test_more_memory_than_the_limit_is_oom_killed(platform: Provider, namespace: str) -> None:
    limits = {"limits": {"memory": "32Mi"}}
    name = create(platform, namespace, pod("greedy", "allocate", "256", resources=limits))
    ended = wait_for(platform, namespace, name, "terminated")
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_a_pod_reaches_the_api_server_at_its_service_address(platform: Provider, namespace: str) -> None:
    name = create(platform, namespace, pod("asks", "version"))
    assert wait_for(platform, namespace, name, "terminated")["exitCode"] == 0, logs(platform, namespace, name)
    said = logs(platform, namespace, name)
    address = ["get", "service", "kubernetes", "--namespace=default", "--output=jsonpath={.spec.clusterIP}"]
    assert said.startswith(f"{platform.kubectl(address)}:443 ")
    assert '"gitVersion": "v1.' in said


def test_commands_run_in_a_pod_as_its_user(platform: Provider, namespace: str) -> None:
    name = create(platform, namespace, pod("sleeper", "sleep", "120"))
    wait_for(platform, namespace, name, "running")
    said = platform.kubectl(["exec", name, f"--namespace={namespace}", "--", "/probe", "identity"])
    assert said == "10001 10001\n"


@pytest.mark.parametrize(
    "context", [{"privileged": True}, {**CONTAINER, "runAsUser": 0, "runAsNonRoot": False}], ids=["privileged", "root"]
)
def test_what_is_not_restricted_is_refused(platform: Provider, namespace: str, context: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        create(platform, namespace, pod("refused", "sleep", "1", securityContext=context))


def test_storage_of_a_deleted_namespace_can_be_made_again(platform: Provider) -> None:
    name = f"platform-test-{secrets.token_hex(3)}"
    _, products = cluster.ensure_storage(platform, name)
    (products / "kept").write_text("measured")
    platform.kubectl(["delete", "namespace", name, "--timeout=90s"], timeout=100)
    cluster.ensure_storage(platform, name)
    assert (products / "kept").read_text() == "measured"
    remove(platform, name)


@pytest.fixture
def local(platform: Provider) -> LocalCluster:
    if not isinstance(platform, LocalCluster):
        pytest.skip("single components are processes of their own in the local cluster alone")
    return platform


def test_a_network_policy_is_enforced(local: LocalCluster, namespace: str) -> None:
    label = {"network": "none"}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "none"},
        "spec": {"podSelector": {"matchLabels": label}, "policyTypes": ["Ingress", "Egress"]},
    }
    create(local, namespace, policy)
    denied, free = pod("denied", "unreachable", "60"), pod("free", "unreachable", "5")
    denied["metadata"]["labels"] = label
    for one, code in ((denied, 0), (free, 1)):
        name = create(local, namespace, one)
        assert wait_for(local, namespace, name, "terminated")["exitCode"] == code, logs(local, namespace, name)
    assert "still answers" in logs(local, namespace, "free")


@pytest.mark.alone
@pytest.mark.parametrize("name", ["kubelet", "kube-apiserver", "containerd"])
def test_a_killed_component_comes_back_and_its_pods_run_on(local: LocalCluster, namespace: str, name: str) -> None:
    victim = create(local, namespace, pod(f"through-{name}", "sleep", "120"))
    wait_for(local, namespace, victim, "running")
    before = local.pid(name)
    local.kill(name)
    assert local.pid(name) is None
    local.up()
    assert local.pid(name) not in (None, before)
    assert local.status().up
    # Some time passes before a kubelet that has just begun knows the pods that it finds.
    wait_until(lambda: unanswered(local, namespace, victim), what=f"an answer of {victim}", timeout=60)


def unanswered(platform: Provider, namespace: str, name: str) -> str:
    """Why a pod does not say who it runs as; empty if it does."""
    try:
        said = platform.kubectl(["exec", name, f"--namespace={namespace}", "--", "/probe", "identity"])
    except ClusterError as error:
        return str(error)
    return "" if said == "10001 10001\n" else said


@pytest.mark.alone
def test_a_taken_port_is_named(local: LocalCluster) -> None:
    local.stop("kube-scheduler")
    try:
        with (
            socket.create_server(("127.0.0.1", local.settings.ports.scheduler)),
            pytest.raises(ClusterError, match=r"kube-scheduler needs 127\.0\.0\.1:10259: Address already in use"),
        ):
            local.start("kube-scheduler")
    finally:
        local.start("kube-scheduler")
    assert local.status().up


def test_the_kubeconfig_is_private(platform: Provider) -> None:
    assert Path(layout.KUBECONFIG).stat().st_mode & 0o777 == 0o600
