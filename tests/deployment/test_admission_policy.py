"""The operator's account may make the Jobs that the operator makes, and no others, whatever its Role allows.

Each case is tried twice: on the policies' expressions alone, and on the real API server, as the operator's account.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cel_expr_python import cel

from e2e.endpoint import endpoint
from e2e.layout import BIN, KUBECONFIG
from e2e.setup import manifests
from plato_sas.api import Document
from plato_sas.jobs.builder import build_job
from plato_sas.jobs.catalogue import CatalogueRun, build_catalogue_job, catalogue_job_name
from plato_sas.jobs.stage import CheckRun, Owner, SalvageRun, Site
from plato_sas.plan.catalogue.tables import build_order
from tests.support.catalogue import IMAGE, catalogue, sample_graph
from tests.support.samples import LIGHT_CURVE, graph
from tests.support.simulator import World

NAMESPACE = "plato-admission-test"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:plato-sas-operator"
# A site that uses all that a Job can have from the values.
VALUES = (
    "images.pullSecrets={registry}",
    "modules.user=4242",
    "modules.priorityClassName=system-cluster-critical",
    "modules.nodeSelector.pool=science",
    "modules.tolerations[0].operator=Exists",
    "modules.podLabels.team=sas",
    "storage.inputs.claimName=in",
    "storage.products.claimName=out",
)
SITE = Site(
    stager_image="registry/stager:1",
    catalogue_image=IMAGE,
    inputs_claim="in",
    products_claim="out",
    user=4242,
    image_pull_secrets=("registry",),
    node_selector=(("pool", "science"),),
    tolerations=({"operator": "Exists"},),
    priority_class="system-cluster-critical",
    pod_labels=(("team", "sas"),),
)
GRAPH = graph({"a": [], "b": ["a"]}, module_fields={"a": {"inputs": [{"name": LIGHT_CURVE}]}})


def stage() -> Document:
    return build_job(World(GRAPH).run().stage("a"), SITE)


def check() -> Document:
    run = World(GRAPH).run().stage("a")
    return build_job(CheckRun(run.owner, run.description), SITE)


def salvage() -> Document:
    world = World(GRAPH)
    world.decide()
    world.begin_step("b")
    world.job_of("b").kill("Evicted")
    world.decide()
    run = world.job_of("a").run
    assert isinstance(run, SalvageRun)
    return build_job(run, SITE)


def collection() -> Document:
    job = catalogue_job_name("q1-dp", "uid-1", 1)
    order = build_order(catalogue(), sample_graph(), "sas-test-1", job)
    owner = Owner("q1-dp", "plato", "uid-1", {}, "StarCatalogue")
    return build_catalogue_job(CatalogueRun(owner, 1, order, catalogue().spec.resources, 600, IMAGE), SITE)


JOBS = {"stage": stage, "check": check, "salvage": salvage, "catalogue": collection}

Change = Callable[[Document], object]


def _spec(job: Document) -> Document:
    spec: Document = job["spec"]["template"]["spec"]
    return spec


def _first(job: Document) -> Document:
    found: Document = _spec(job)["initContainers"][0]
    return found


def volume(**source: Any) -> Change:
    return lambda job: _spec(job)["volumes"].append({"name": "more", **source})


def container(**entry: Any) -> Change:
    return lambda job: _first(job).update(entry)


def pod(**fields: Any) -> Change:
    return lambda job: _spec(job).update(fields)


def security(**fields: Any) -> Change:
    return lambda job: _spec(job)["securityContext"].update(fields)


def locked(**fields: Any) -> Change:
    """Another security context of the publish container."""
    return lambda job: _spec(job)["containers"][0].update(
        securityContext={**_spec(job)["containers"][0]["securityContext"], **fields}
    )


SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
CLAIM = "neither an emptyDir nor one of the claims"
USER = "does not run as user and group 4242 alone"

REFUSED: dict[str, tuple[Change, str]] = {
    "a Secret as a volume": (volume(secret={"secretName": "s"}), CLAIM),
    "a ConfigMap as a volume": (volume(configMap={"name": "c"}), CLAIM),
    "a token as a volume": (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
        CLAIM,
    ),
    "a folder of the node": (volume(hostPath={"path": "/"}), CLAIM),
    "a file server": (volume(nfs={"server": "s", "path": "/"}), CLAIM),
    "another claim": (volume(persistentVolumeClaim={"claimName": "database"}), CLAIM),
    "the inputs, writable": (volume(persistentVolumeClaim={"claimName": "in"}), CLAIM),
    "a Secret as a variable": (
        container(env=[{"name": "A", "valueFrom": SECRET}]),
        "environment comes from a Secret",
    ),
    "a ConfigMap as variables": (
        container(envFrom=[{"configMapRef": {"name": "c"}}]),
        "environment comes from a Secret or a ConfigMap",
    ),
    "another account": (pod(serviceAccountName="admin", serviceAccount="admin"), "account of its own"),
    "the account's token": (pod(automountServiceAccountToken=True), "account of its own or its token"),
    "another pull Secret": (pod(imagePullSecrets=[{"name": "other"}]), "other than those of the installation"),
    "the node's network": (pod(hostNetwork=True), "shares the node's network"),
    "the node's processes": (pod(hostPID=True), "shares the node's network, processes"),
    "the node's memory": (pod(hostIPC=True), "shares the node's network, processes"),
    "a chosen node": (pod(nodeName="n"), "chooses its node"),
    "a port": (container(ports=[{"containerPort": 80, "hostPort": 80}]), "shares the node's network"),
    "the user root": (security(runAsUser=0, runAsNonRoot=False), USER),
    "another group": (security(fsGroup=0), USER),
    "a further group": (security(supplementalGroups=[0]), USER),
    "no seccomp profile": (security(seccompProfile={"type": "Unconfined"}), USER),
    "a privileged container": (locked(privileged=True, allowPrivilegeEscalation=True), "not locked down"),
    "a capability": (locked(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}), "not locked down"),
    "a writable root": (locked(readOnlyRootFilesystem=False), "not locked down"),
    "a container with a user of its own": (locked(runAsUser=0), "not locked down"),
    "a container without a security context": (
        lambda job: _first(job).pop("securityContext"),
        "not locked down",
    ),
    "a request of the kubelet": (
        lambda job: _spec(job)["containers"][0].update(
            lifecycle={"postStart": {"httpGet": {"host": "10.0.0.1", "port": 80}}}
        ),
        "a probe or a lifecycle hook",
    ),
    "no owner": (lambda job: job["metadata"].pop("ownerReferences"), "not owned by"),
    "another owner": (
        lambda job: job["metadata"]["ownerReferences"][0].update(apiVersion="v1", kind="ConfigMap"),
        "not owned by",
    ),
    "many pods": (lambda job: job["spec"].update(parallelism=9, completions=9), "more than one pod"),
    "a pod that no NetworkPolicy selects": (
        lambda job: job["spec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/managed-by": "me"}),
        "no NetworkPolicy would select it",
    ),
}


def changed(change: Change) -> Document:
    job = deepcopy(stage())
    change(job)
    return job


# The expressions alone


def policies(*values: str) -> list[Document]:
    arguments = [argument for value in values for argument in ("--set", value)]
    text = manifests.helm(
        "template", "plato-sas", str(manifests.CHART), "--namespace", NAMESPACE,
        "--kube-version", manifests.KUBERNETES, *arguments,
    )  # fmt: skip
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def rendered() -> list[Document]:
    return policies(*VALUES)


def named(documents: list[Document], kind: str, beginning: str) -> Document:
    (found,) = [item for item in documents if item["kind"] == kind and item["metadata"]["name"].startswith(beginning)]
    return found


def value(expression: str, **objects: Any) -> Any:
    """The value of a CEL expression; None if its evaluation fails."""
    environment = cel.NewEnv(variables=dict.fromkeys(objects, cel.Type.DYN))
    result = environment.compile(expression).eval(data=objects)
    return result.value() if result.type() == cel.Type.BOOL else None


def refusals(policy: Document, **objects: Any) -> list[str]:
    """The messages of the validations that do not hold."""
    spec = policy["spec"]
    expanded = {one["name"]: f"({one['expression']})" for one in spec.get("variables", [])}

    def expand(expression: str) -> str:
        while "variables." in expression:
            expression = re.sub(r"\bvariables\.(\w+)", lambda found: expanded[found[1]], expression)
        return expression

    return [one["message"] for one in spec["validations"] if value(expand(one["expression"]), **objects) is not True]


@pytest.mark.parametrize("kind", JOBS)
def test_the_operators_own_jobs_pass(rendered: list[Document], kind: str) -> None:
    policy = named(rendered, "ValidatingAdmissionPolicy", "plato-sas-jobs")
    assert refusals(policy, object=JOBS[kind]()) == []


@pytest.mark.parametrize("what", REFUSED)
def test_another_job_is_refused_for_one_reason(rendered: list[Document], what: str) -> None:
    change, message = REFUSED[what]
    (refusal,) = refusals(named(rendered, "ValidatingAdmissionPolicy", "plato-sas-jobs"), object=changed(change))
    assert message in refusal


def a_pod(image: str = "i", manager: str = "plato-sas-operator") -> Document:
    one = {"name": "c", "image": image}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"app.kubernetes.io/managed-by": manager}},
        # No node has the label: the pod is never started.
        "spec": {
            "nodeSelector": {"none": "none"},
            "initContainers": [one | {"name": "i"}],
            "containers": [one],
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (a_pod(), a_pod(), None),
        (a_pod(), a_pod(image="other"), "an image is changed"),
        (a_pod(manager="other"), a_pod(manager="other"), "not one of the operator's"),
        (a_pod(manager="other"), a_pod(), "not one of the operator's"),
        (a_pod(), a_pod(manager="other"), "not one of the operator's"),
    ],
)
def test_only_the_operators_pods_are_changed_and_never_an_image(
    rendered: list[Document], old: Document, new: Document, message: str | None
) -> None:
    found = refusals(named(rendered, "ValidatingAdmissionPolicy", "plato-sas-pods"), object=new, oldObject=old)
    assert len(found) == (message is not None)
    assert message is None or message in found[0]


@pytest.mark.parametrize("resource", ["jobs", "pods"])
def test_the_operators_account_alone_is_held_in_its_namespace_alone(rendered: list[Document], resource: str) -> None:
    policy = named(rendered, "ValidatingAdmissionPolicy", f"plato-sas-{resource}")
    (condition,) = policy["spec"]["matchConditions"]
    for user, held in ((ACCOUNT, True), (ACCOUNT.replace(NAMESPACE, "other"), False), ("admin", False)):
        request = {"namespace": NAMESPACE, "userInfo": {"username": user}}
        assert value(condition["expression"], request=request) is held
    binding = named(rendered, "ValidatingAdmissionPolicyBinding", f"plato-sas-{resource}")["spec"]
    assert binding["policyName"] == policy["metadata"]["name"]
    assert binding["validationActions"] == ["Deny"]
    selector = binding["matchResources"]["namespaceSelector"]["matchLabels"]
    assert selector == {"kubernetes.io/metadata.name": NAMESPACE}


def test_two_releases_have_policies_of_their_own() -> None:
    names = [
        {item["metadata"]["name"] for item in policies(f"fullnameOverride={name}") if "Admission" in item["kind"]}
        for name in ("one", "two")
    ]
    assert len(names[0] | names[1]) == 6


def test_the_policies_can_be_left_out() -> None:
    assert not [item for item in policies("admissionPolicies.create=false") if "Admission" in item["kind"]]


# The API server


def kubectl(*arguments: str, stdin: Document | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "kubectl"), "--kubeconfig", str(KUBECONFIG), "--namespace", NAMESPACE, *arguments],
        input=json.dumps(stdin), capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def done(*arguments: str, stdin: Document | None = None) -> None:
    found = kubectl(*arguments, stdin=stdin)
    assert found.returncode == 0, found.stderr


@dataclass(frozen=True)
class Answer:
    """Of the API server. `message` is empty where it would do what was asked."""

    status: int
    message: str


def ask(method: str, path: str, body: Document, account: str | None = ACCOUNT) -> Answer:
    """A dry run as the account (None: as the administrator): everything is checked, and nothing stored."""
    api = endpoint()
    server = urlsplit(api.server)
    connection = HTTPSConnection(server.hostname or "", server.port, timeout=30, context=api.administrator)
    headers = {"Content-Type": "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"}
    headers |= {"Impersonate-User": account} if account else {}
    with closing(connection):
        connection.request(method, f"{path}?dryRun=All", json.dumps(body), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    return Answer(answer.status, "" if answer.status < 300 else found["message"])


def create(job: Document, account: str | None = ACCOUNT) -> Answer:
    moved = {**job, "metadata": {**job["metadata"], "namespace": NAMESPACE}}
    return ask("POST", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", moved, account)


@pytest.fixture(scope="module")
def installed(rendered: list[Document]) -> Iterator[None]:
    """The operator's account, Role and policies, in force, without the operator."""
    wanted = ("ServiceAccount", "Role", "RoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    items = [item for item in rendered if item["kind"] in wanted]
    everything: Document = {"apiVersion": "v1", "kind": "List", "items": items}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    done("apply", "--filename=-", stdin=namespace)
    done("apply", "--filename=-", stdin=everything)
    forbidden = changed(REFUSED["a Secret as a volume"][0])
    deadline = time.monotonic() + 30
    while not create(forbidden).message:  # the API server takes a policy up a little later
        assert time.monotonic() < deadline, "the policy is not in force"
        time.sleep(0.2)
    yield
    done("delete", "--ignore-not-found", "--filename=-", stdin=everything)
    done("delete", "namespace", NAMESPACE)


@pytest.mark.integration
def test_api_server_takes_the_operators_own_jobs(installed: None) -> None:
    for kind, make in JOBS.items():
        assert create(make()) == Answer(201, ""), kind


@pytest.mark.integration
def test_api_server_refuses_every_other_job(installed: None) -> None:
    for what, (change, message) in REFUSED.items():
        answer = create(changed(change))
        assert answer.status == 403, what
        assert message in answer.message, what


@pytest.mark.integration
def test_api_server_holds_no_other_account_to_it(installed: None) -> None:
    job = changed(REFUSED["a Secret as a volume"][0])
    # Without labels of its own a Job gets its pod's.
    job["metadata"] |= {"labels": {"made-by": "hand"}, "ownerReferences": []}
    assert create(job, account=None) == Answer(201, "")


@pytest.mark.integration
@pytest.mark.parametrize("mark", ["labels", "ownerReferences"])
def test_api_server_takes_jobs_that_look_like_the_operators_from_it_alone(installed: None, mark: str) -> None:
    forged = next(iter(JOBS.values()))()
    others = {"labels": {"made-by": "hand"}, "ownerReferences": []}
    forged["metadata"] |= {key: value for key, value in others.items() if key != mark}
    answer = create(forged, account=None)
    assert answer.status == 403
    assert "only the operator makes Jobs of stars and catalogues" in answer.message


@pytest.mark.integration
def test_api_server_understands_every_expression(installed: None, rendered: list[Document]) -> None:
    for policy in (item for item in rendered if item["kind"] == "ValidatingAdmissionPolicy"):
        name = policy["metadata"]["name"]
        done(
            "wait",
            "--for=jsonpath={.status.observedGeneration}=1",
            f"validatingadmissionpolicy/{name}",
            "--timeout=60s",
        )
        found = json.loads(kubectl("get", "validatingadmissionpolicy", name, "--output=json").stdout)
        assert found["status"]["typeChecking"] == {}, name


@pytest.mark.integration
@pytest.mark.parametrize(
    ("manager", "patch", "message"),
    [
        ("plato-sas-operator", {"activeDeadlineSeconds": 1}, ""),
        ("plato-sas-operator", {"containers": [{"name": "c", "image": "other"}]}, "an image is changed"),
        ("other", {"activeDeadlineSeconds": 1}, "not one of the operator's"),
    ],
)
def test_api_server_holds_the_operator_to_its_own_pods(
    installed: None, manager: str, patch: Document, message: str
) -> None:
    done("apply", "--filename=-", stdin=a_pod(manager=manager))
    try:
        answer = ask("PATCH", f"/api/v1/namespaces/{NAMESPACE}/pods/p", {"spec": patch})
    finally:
        done("delete", "pod", "p", "--now")
    assert answer.status == (403 if message else 200)
    assert message in answer.message
