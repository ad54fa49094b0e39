"""What a cluster does to running stars: an eviction or a preemption costs a retry, and never a product."""

import json
from collections.abc import Iterator

import pytest

from e2e.install.modules import pinned
from e2e.kubernetes import apply, get, kubectl
from e2e.reading import reader
from e2e.tests.site import Site, steps, until
from plato_sas.api import Document, amount

_URGENT = "plato-e2e-urgent"
_ALL_DAY = {"one": {"sleep_s": 120}}
_AT_ONCE = {"one": {"sleep_s": 0}}
# Only a pod that asks for so much can be the one to go: all others of the node together ask for less than the rest.
_LARGE_CPU, _WANTED_OF_IT = 1.0, 0.7


@pytest.fixture(scope="module")
def steady(site: Site) -> str:
    """One step, with one retry of its own."""
    site.synthetic("steady", outputs=["IDP_A"], retry={"temporary": 1})
    site.pipeline("steady", [{"name": "one", "module": "steady"}])
    return "steady"


@pytest.fixture(scope="module")
def evicted(site: Site, steady: str) -> None:
    """Two stars whose pods were evicted; the second attempt of one of them ends with exit code 75 besides."""
    site.start("evicted", pipeline=steady, parameters=_ALL_DAY)
    site.start("unlucky", pipeline=steady, parameters={"one": {**_ALL_DAY["one"], "exit_code": 75, "failures": 2}})
    for star in ("evicted", "unlucky"):
        pod = _running_pod(site, star)
        site.patch(star, {"parameters": _AT_ONCE})  # for the next attempt
        _evict(site, pod)


@pytest.fixture
def urgent(site: Site) -> Iterator[str]:
    """A PriorityClass that goes before all others of this test."""
    body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": _URGENT}, "value": 1000}
    apply([body])
    yield _URGENT
    kubectl("delete", "pod", _URGENT, "--ignore-not-found", "--grace-period=1", namespace=site.namespace)
    kubectl("delete", "priorityclass", _URGENT, "--ignore-not-found")


def test_an_evicted_star_is_run_again_and_published_once(site: Site, evicted: None) -> None:
    _assert_run_again_and_published_once(site, "evicted", "EvictionByEvictionAPI")


@pytest.mark.alone  # its pod must be the only one that can be preempted
def test_a_preempted_star_is_run_again_and_published_once(site: Site, urgent: str) -> None:
    cpu = f"{1000 * _LARGE_CPU:.0f}m"
    site.synthetic("large", outputs=["IDP_A"], resources={"cpu": cpu, "memory": "64Mi", "scratch": "16Mi"})
    site.pipeline("large", [{"name": "one", "module": "large"}])
    site.start("preempted", pipeline="large", parameters=_ALL_DAY)
    pod = _running_pod(site, "preempted")
    site.patch("preempted", {"parameters": _AT_ONCE})
    _preempt(site, pod, urgent)
    _assert_run_again_and_published_once(site, "preempted", "PreemptionByScheduler")


def test_each_class_of_failure_has_its_own_budget(site: Site, evicted: None) -> None:
    status = site.finished("unlucky")
    one = steps(status)["one"]
    assert (status["state"], one["attempt"]) == ("Succeeded", 3)
    assert one["retries"] == {"Infrastructure": 1, "Temporary": 1}
    assert site.manifest("unlucky", "one")["attempt"] == 3


def _assert_run_again_and_published_once(site: Site, star: str, reason: str) -> None:
    status = site.finished(star)
    one = steps(status)["one"]
    assert (status["state"], one["attempt"], one["retries"]) == ("Succeeded", 2, {"Infrastructure": 1})
    manifest = site.manifest(star, "one")
    assert (manifest["attempt"], manifest["attemptId"], manifest["digest"]) == (2, one["job"], one["digest"])
    until(lambda: f"one: {reason}: " in site.describe(star).partition("Events:")[2], f"the event {reason}", 30)
    folder = site.products / "e2e" / star / ".logs"
    logs = until(lambda: found if len(found := list(folder.glob("*.log"))) == 2 else None, "two logs", 60)
    assert [log.stem for log in logs if "==== container=publish " in log.read_text()] == [one["job"]]


def _running_pod(site: Site, star: str) -> Document:
    """The star's one pod, once its module runs."""
    site.in_state(star, "one", "Running")

    def look() -> Document | None:
        for pod in reader().items("pods", site.namespace, f"plato-sas.io/star={star}"):
            for container in pod["status"].get("initContainerStatuses", []):
                if container["name"] == "step-one" and "running" in container["state"]:
                    return dict(pod)
        return None

    return until(look, f"the module of {star} running", 60)


def _evict(site: Site, pod: Document) -> None:
    """As `kubectl drain` does."""
    name = pod["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": site.namespace}}
    path = f"/api/v1/namespaces/{site.namespace}/pods/{name}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def _preempt(site: Site, pod: Document, priority_class: str) -> None:
    """Start a pod that has room on the node only where the other one was; it ends at once and leaves the room."""
    node = get("node", pod["spec"]["nodeName"], namespace=site.namespace)
    selector = f"--field-selector=spec.nodeName={node['metadata']['name']},status.phase!=Succeeded,status.phase!=Failed"
    asked = {one["metadata"]["uid"]: _requested(one) for one in get("pods", "-A", selector, namespace=site.namespace)}
    assert asked.pop(pod["metadata"]["uid"]) == _LARGE_CPU
    assert sum(asked.values()) < _WANTED_OF_IT, f"too much else on the node: {asked}"
    free = amount(node["status"]["allocatable"]["cpu"]) - _LARGE_CPU - sum(asked.values())
    container = {
        "name": "urgent",
        "image": pinned("localhost/plato-sas/synthetic:0.1.0"),
        "resources": {"requests": {"cpu": f"{1000 * (free + _WANTED_OF_IT):.0f}m"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "priorityClassName": priority_class,
        "nodeSelector": {"kubernetes.io/hostname": node["metadata"]["labels"]["kubernetes.io/hostname"]},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    apply(
        [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": _URGENT}, "spec": spec}],
        namespace=site.namespace,
    )


def _requested(pod: Document) -> float:
    """The CPU that the scheduler counts for a pod."""

    def of(containers: str) -> list[float]:
        asked = (one.get("resources", {}).get("requests", {}) for one in pod["spec"].get(containers, []))
        return [amount(one.get("cpu", "0")) for one in asked]

    return max([sum(of("containers")), *of("initContainers")])
