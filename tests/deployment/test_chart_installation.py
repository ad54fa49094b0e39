"""The chart on the real cluster: the operator gets ready, its Role suffices, uninstalling leaves the CRDs alone."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.layout import BIN, KUBECONFIG, REPOSITORY, VOLUMES
from e2e.setup import manifests
from plato_sas.api import Document

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

NAMESPACE = "plato-chart-test"
FOLDERS = VOLUMES / "namespaces" / NAMESPACE
RELEASE = "plato-sas"
OPERATOR = "deployment/plato-sas-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:plato-sas-operator"
METRICS = f"/api/v1/namespaces/{NAMESPACE}/services/plato-sas-operator-metrics:metrics/proxy/metrics"
IMAGES = ("operator", "stager")
POLICIES = ("validatingadmissionpolicybindings", "validatingadmissionpolicies")
# The stager's image has a Python: enough of a module.
IMAGE = "localhost/plato-sas/stager:0.1.0"
QUICK = "open('/sas/out/MADE.h5', 'w').write('made')"
LONG = "import time; time.sleep(600)"


def run(*command: str, stdin: str | None = None, timeout: float = 60) -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
    return run(str(BIN / "kubectl"), "--kubeconfig", str(KUBECONFIG), *arguments, stdin=stdin, timeout=timeout)


def inside(*arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
    return kubectl("--namespace", NAMESPACE, *arguments, stdin=stdin, timeout=timeout)


def helm(*arguments: str) -> str:
    options = ("--kubeconfig", str(KUBECONFIG), "--namespace", NAMESPACE)
    return run(str(BIN / "helm"), *arguments, *options, timeout=150)


def platform(*arguments: str) -> str:
    return run(sys.executable, "-m", *arguments, timeout=300)


def items(what: str, *arguments: str) -> list[Document]:
    found: list[Document] = json.loads(inside("get", what, "--output=json", *arguments))["items"]
    return found


def names(kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in items(kind)]


def allowed(verb: str, resource: str, subresource: str = "", namespace: str = NAMESPACE) -> bool:
    """What the API server says of the operator's account."""
    group_resource, _, group = resource.partition(".")
    attributes = {"namespace": namespace, "verb": verb, "resource": group_resource, "group": group}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": ACCOUNT, "resourceAttributes": {**attributes, "subresource": subresource}},
    }
    answer = json.loads(kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review)))
    return bool(answer["status"]["allowed"])


def install() -> str:
    return helm("install", RELEASE, str(manifests.CHART), "--wait", "--timeout", "120s")


def delete_namespace() -> None:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=130)
    volumes = [f"{NAMESPACE}-sas-inputs", f"{NAMESPACE}-sas-products"]
    kubectl("delete", "persistentvolume", *volumes, "--ignore-not-found", "--timeout=60s", timeout=70)
    for kind in POLICIES:
        kubectl("delete", kind, *(f"plato-sas-{held}.{NAMESPACE}" for held in ("jobs", "pods")), "--ignore-not-found")


@pytest.fixture(scope="module")
def images() -> None:
    platform("e2e.images", "build", *IMAGES)
    archives = platform("e2e.images", "archives", *IMAGES).split()
    assert len(archives) == len(IMAGES)
    platform("e2e.cluster", "load", *archives)


@pytest.fixture
def namespace(images: None) -> Iterator[None]:
    """A namespace of Pod Security level `restricted` with both claims, their folders empty."""
    delete_namespace()
    shutil.rmtree(FOLDERS, ignore_errors=True)
    folders = ("--inputs", str(FOLDERS / "inputs"), "--products", str(FOLDERS / "products"))
    platform("e2e.cluster", "storage", "--namespace", NAMESPACE, *folders)
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(REPOSITORY / "crds"))
    yield
    delete_namespace()
    shutil.rmtree(FOLDERS)


def everything() -> set[str]:
    """All that is in the namespace, save events, which tell of it."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    kinds = [kind for kind in kinds if not kind.startswith("events")]
    found = json.loads(inside("get", ",".join(kinds), "--output=json"))["items"]
    return {f"{item['kind']}/{item['metadata']['name']}" for item in found}


def catalogue() -> str:
    def module(name: str, code: str) -> Document:
        resources = {"cpu": "50m", "memory": "64Mi", "memoryCap": "64Mi", "scratch": "16Mi"}
        return {
            "apiVersion": "plato-sas.io/v1alpha1",
            "kind": "ScienceModule",
            "metadata": {"name": name},
            "spec": {
                "image": IMAGE,
                "version": "0.1.0",
                "command": ["python3", "-c", code],
                "outputs": [{"name": "MADE"}],
                "resources": resources,
                "timeout": "15m",
            },
        }

    def pipeline(name: str) -> Document:
        return {
            "apiVersion": "plato-sas.io/v1alpha1",
            "kind": "StarPipeline",
            "metadata": {"name": name},
            "spec": {"steps": [{"name": "only", "module": name}]},
        }

    parts = [module("quick", QUICK), module("long", LONG), pipeline("quick"), pipeline("long")]
    return yaml.safe_dump_all(parts)


def start(name: str, pipeline: str) -> None:
    star = {
        "apiVersion": "plato-sas.io/v1alpha1",
        "kind": "StarProcessing",
        "metadata": {"name": name},
        "spec": {"star": name, "campaign": "q1", "pipeline": pipeline},
    }
    inside("apply", "--filename=-", stdin=yaml.safe_dump(star))


def wait_for_state(name: str, state: str) -> None:
    condition = f"--for=jsonpath={{.status.state}}={state}"
    inside("wait", condition, f"starprocessing/{name}", "--timeout=120s", timeout=130)


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} is not there"
        time.sleep(0.2)


def restart_operator() -> None:
    inside("rollout", "restart", OPERATOR)
    inside("rollout", "status", OPERATOR, "--timeout=120s", timeout=130)


def check_that_nothing_was_forbidden() -> None:
    """By the operator's own count of the API server's answers, and by its log, which has the watches too."""
    scraped = kubectl("get", "--raw", METRICS)
    answers = [line for line in scraped.splitlines() if line.startswith("plato_sas_api_requests_total{")]
    assert any('method="GET"' in line for line in answers)
    assert not [line for line in answers if 'code="401"' in line or 'code="403"' in line]
    log = inside("logs", OPERATOR)
    assert "View complete" in log
    assert not [line for line in log.splitlines() if "orbidden" in line or "Unauthorized" in line]


def test_operator_works_with_its_role(namespace: None) -> None:
    notes = install()
    assert f"kubectl -n {NAMESPACE} get sp --watch" in notes
    assert "without a network plugin that enforces NetworkPolicies does not enforce it" in notes
    (pod,) = items("pods")
    assert {one["type"]: one["status"] for one in pod["status"]["conditions"]}["Ready"] == "True"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0

    inside("apply", "--filename=-", stdin=catalogue())
    start("one", "quick")
    wait_for_state("one", "Succeeded")
    (job,) = items("jobs", "--selector=plato-sas.io/processing=one")
    log = FOLDERS / "products" / "q1" / "one" / ".logs" / f"{job['metadata']['name']}.log"
    wait_for_file(log)
    assert "container=step-only" in log.read_text()
    assert log.stat().st_uid == 10001
    (lease,) = items("leases")
    (pod,) = items("pods", "--selector=app.kubernetes.io/component=operator")
    assert lease["spec"]["holderIdentity"] == f"{pod['metadata']['name']}_{pod['metadata']['uid']}"
    assert len(items("controllerrevisions", "--selector=app.kubernetes.io/managed-by=plato-sas-operator")) == 1

    start("two", "long")
    wait_for_state("two", "Running")
    check_that_nothing_was_forbidden()
    # The new process reads the pinned revision back and finds the Job of its predecessor.
    restart_operator()
    inside("patch", "starprocessing", "two", "--type=merge", '--patch={"spec": {"desiredState": "Cancel"}}')
    wait_for_state("two", "Cancelled")
    selector = "--selector=plato-sas.io/processing=two"
    # Its pod is stopped, not deleted: its log is kept.
    inside("wait", "--for=condition=Failed", "job", selector, "--timeout=60s", timeout=70)

    start("three", "absent")
    wait_for_state("three", "Rejected")
    told = items("events", "--field-selector=involvedObject.name=three")
    assert [event["reason"] for event in told] == ["Rejected"]
    check_that_nothing_was_forbidden()


def test_operator_may_do_nothing_else(namespace: None) -> None:
    helm("install", RELEASE, str(manifests.CHART))
    assert allowed("create", "jobs.batch")
    assert allowed("patch", "starprocessings.plato-sas.io", "status")
    assert allowed("get", "pods", "log")
    assert not allowed("create", "pods", "exec")
    for verb, resource in (
        ("get", "secrets"),
        ("create", "pods"),
        ("delete", "pods"),
        ("patch", "starprocessings.plato-sas.io"),
        ("create", "starprocessings.plato-sas.io"),
        ("get", "leases.coordination.k8s.io"),  # but its own
        ("delete", "leases.coordination.k8s.io"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("list", "namespaces"),
        ("list", "customresourcedefinitions.apiextensions.k8s.io"),
    ):
        assert not allowed(verb, resource), f"{verb} {resource}"
    assert not allowed("list", "starprocessings.plato-sas.io", namespace="default")


def test_uninstall_leaves_the_crds_alone(namespace: None) -> None:
    before = everything()
    install()
    assert "Deployment/plato-sas-operator" in everything()
    helm("uninstall", RELEASE, "--wait", "--timeout", "60s")
    inside(
        "wait", "--for=delete", "pod", f"--selector=app.kubernetes.io/instance={RELEASE}", "--timeout=60s", timeout=70
    )
    assert everything() == before | {"Lease/plato-sas-operator"}
    assert not [name for kind in POLICIES for name in names(kind) if name.endswith(f".{NAMESPACE}")]
    crds = items("customresourcedefinitions", "--selector=app.kubernetes.io/part-of=plato-sas")
    kinds = {crd["spec"]["names"]["kind"] for crd in crds}
    assert kinds == {"StarProcessing", "StarPipeline", "ScienceModule", "StarCatalogue"}
