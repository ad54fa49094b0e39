"""What the chart renders: validity, refusals, security, and that the operator understands its settings."""

import re
from typing import Any

import pytest

from e2e.layout import REPOSITORY
from e2e.setup import manifests
from plato_sas.api import Document
from plato_sas.controller.settings import Settings
from plato_sas.jobs.names import MANAGED_BY_LABEL, MANAGER
from plato_sas.jobs.stage import Site

MONITORING = "monitoring.coreos.com/v1"
POLICIES = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def one(documents: list[Document], kind: str, ending: str = "") -> Document:
    (found,) = [item for item in documents if item["kind"] == kind and item["metadata"]["name"].endswith(ending)]
    return found


def names(documents: list[Document]) -> set[tuple[str, str]]:
    return {(item["kind"], item["metadata"]["name"]) for item in documents}


def environment(documents: list[Document]) -> dict[str, str]:
    (container,) = one(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    fields = {"metadata.namespace": "plato", "metadata.name": "the-pod", "metadata.uid": "the-uid"}
    return {
        entry["name"]: entry["value"] if "value" in entry else fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in container["env"]
    }


def test_lint_is_clean() -> None:
    report = manifests.helm("lint", "--strict", "--kube-version", manifests.KUBERNETES, str(manifests.CHART))
    assert "0 chart(s) failed" in report
    assert "[WARNING]" not in report
    assert "[ERROR]" not in report


def test_packaged_chart_holds_the_crds(tmp_path: Any) -> None:
    manifests.helm("package", str(manifests.CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("*.tgz")
    shown = manifests.helm("show", "crds", str(archive))
    folder = REPOSITORY / "crds"
    crds = sorted(folder.glob("*.yaml"))
    assert crds
    for crd in crds:
        assert crd.read_text().strip() in shown


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("controller.workers=many", r"/controller/workers.*want integer"),
        ("controller.maxActveStars=3", r"/controller.*'maxActveStars' not allowed"),
        ("controller.resyncSeconds=1", r"/controller/resyncSeconds.*minimum"),
        ("controller.maxStepsPerStage=17", r"/controller/maxStepsPerStage.*maximum"),
        ("controller.startSeconds=9", r"/controller/startSeconds.*minimum"),
        ("controller.logs.maxBytes=1", r"/controller/logs/maxBytes.*minimum"),
        ("controller.logs.keep=perhaps", r"/controller/logs/keep.*want boolean"),
        ("modules.user=0", r"/modules/user.*minimum"),
        ("modules.nodeSelector.zone=a\\,b", r"/modules/nodeSelector/zone.*does not match"),
        ("modules.podAnnotations.inject=false", r"/modules/podAnnotations/inject.*want string"),
        ("modules.podLabels.team=a b", r"/modules/podLabels/team.*does not match"),
        ("images.operator.digest=latest", r"/images/operator/digest.*does not match"),
        ("images.pullPolicy=Sometimes", r"/images/pullPolicy.*one of"),
        ("storage.inputs.size=much", r"/storage/inputs/size.*does not match"),
        ("storage.products.accessModes=ReadWriteMany", r"/storage/products/accessModes.*want array"),
        ("rbac.user.subjects[0].kind=Robot", r"/rbac/user/subjects/0/kind.*one of"),
        ("metrics.service.port=70000", r"/metrics/service/port.*maximum"),
        ("metrics.serviceMonitor.enabled=true", rf"metrics\.serviceMonitor\.enabled is true.*{MONITORING}"),
        ("metrics.prometheusRule.enabled=true", rf"metrics\.prometheusRule\.enabled is true.*{MONITORING}"),
    ],
)
def test_wrong_value_is_refused_by_its_name(render: Any, value: str, message: str) -> None:
    with pytest.raises(manifests.RenderingFailed) as refusal:
        render(value)
    assert re.search(message, str(refusal.value))


def test_contradictions_are_refused(render: Any) -> None:
    with pytest.raises(manifests.RenderingFailed, match=r"rbac\.airflow\.serviceAccount\.create is true, but"):
        render("rbac.airflow.create=false", "rbac.airflow.serviceAccount.create=true")
    with pytest.raises(manifests.RenderingFailed, match=r"metrics\.service\.create is false"):
        render("metrics.serviceMonitor.enabled=true", "metrics.service.create=false", apis=(MONITORING,))


def test_default_objects(defaults: list[Document]) -> None:
    assert names(defaults) == {
        ("Deployment", "plato-sas-operator"),
        ("NetworkPolicy", "plato-sas-modules"),
        ("Role", "plato-sas-airflow"),
        ("Role", "plato-sas-operator"),
        ("Role", "plato-sas-user"),
        ("RoleBinding", "plato-sas-operator"),
        ("Service", "plato-sas-operator-metrics"),
        ("ServiceAccount", "plato-sas-operator"),
        *((kind, f"plato-sas-{held}.plato") for kind in POLICIES for held in ("jobs", "makers", "pods")),
    }
    of_the_cluster = [item["kind"] for item in defaults if item["metadata"].get("namespace") != manifests.NAMESPACE]
    assert set(of_the_cluster) == POLICIES


def test_optional_objects(render: Any) -> None:
    documents = render(
        "storage.inputs.create=true",
        "storage.products.create=true",
        "storage.products.storageClassName=",
        "storage.products.claimName=kept",
        "rbac.airflow.serviceAccount.create=true",
        "rbac.user.subjects[0].kind=Group",
        "rbac.user.subjects[0].name=sas:operators",
        "metrics.serviceMonitor.enabled=true",
        "metrics.prometheusRule.enabled=true",
        "metrics.grafanaDashboard.enabled=true",
        apis=(MONITORING,),
    )
    assert {
        ("PersistentVolumeClaim", "sas-inputs"),
        ("PersistentVolumeClaim", "kept"),
        ("ServiceAccount", "plato-sas-airflow"),
        ("RoleBinding", "plato-sas-airflow"),
        ("RoleBinding", "plato-sas-user"),
        ("ServiceMonitor", "plato-sas-operator"),
        ("PrometheusRule", "plato-sas-operator"),
        ("ConfigMap", "plato-sas-dashboard"),
    } <= names(documents)
    assert "storageClassName" not in one(documents, "PersistentVolumeClaim", "sas-inputs")["spec"]
    assert one(documents, "PersistentVolumeClaim", "kept")["spec"]["storageClassName"] == ""
    assert environment(documents)["PLATO_SAS_PRODUCTS_CLAIM"] == "kept"
    assert one(documents, "RoleBinding", "user")["subjects"] == [
        {"kind": "Group", "name": "sas:operators", "apiGroup": "rbac.authorization.k8s.io"}
    ]


def test_optional_objects_can_be_left_out(render: Any) -> None:
    documents = render(
        "serviceAccount.create=false",
        "serviceAccount.name=given",
        "rbac.create=false",
        "rbac.user.create=false",
        "rbac.airflow.create=false",
        "modules.networkPolicy.enabled=false",
        "admissionPolicies.create=false",
        "metrics.service.create=false",
    )
    assert names(documents) == {("Deployment", "plato-sas-operator")}
    assert one(documents, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "given"


def test_default_settings_are_the_operators_own(defaults: list[Document]) -> None:
    settings = Settings.from_environment(environment(defaults))
    images = {f"{name}_image": f"localhost/plato-sas/{name}:0.1.0" for name in ("stager", "catalogue")}
    assert settings == Settings(namespace="plato", site=Site(**images), identity="the-pod_the-uid")


def test_every_setting_reaches_the_operator(render: Any) -> None:
    digest = "sha256:" + "a" * 64
    documents = render(
        "controller.maxActiveStars=2000000",
        "controller.workers=3",
        "controller.jobTtlSeconds=60",
        "controller.starTtlSeconds=70",
        "controller.statusIntervalSeconds=5",
        "controller.maxStepsPerStage=4",
        "controller.startSeconds=30",
        "controller.logs.keep=false",
        "controller.logs.maxBytes=2097152",
        "controller.logs.workers=5",
        "controller.archive=false",
        "fullnameOverride=other",
        "controller.resyncSeconds=40",
        "images.stager.repository=example.org/stager",
        f"images.stager.digest={digest}",
        "images.catalogue.tag=next",
        "images.pullPolicy=Always",
        "images.pullSecrets={first,second}",
        "modules.user=1234",
        "modules.nodeSelector.pool=science",
        "modules.nodeSelector.disk=fast",
        "modules.tolerations[0].key=science",
        "modules.tolerations[0].operator=Exists",
        "modules.priorityClassName=low",
        "modules.podAnnotations.sidecar\\.istio\\.io/inject=no",
        "modules.podLabels.team=sas",
        "modules.maxOutputSize=2Gi",
        "controller.inputPrefixes={shared,data/{star\\}}",
        "storage.inputs.claimName=in",
        "storage.products.claimName=out",
    )
    variables = environment(documents)
    assert Settings.from_environment(variables) == Settings(
        namespace="plato",
        site=Site(
            stager_image=f"example.org/stager@{digest}",
            catalogue_image="localhost/plato-sas/catalogue:next",
            inputs_claim="in",
            products_claim="out",
            user=1234,
            image_pull_policy="Always",
            image_pull_secrets=("first", "second"),
            node_selector=(("disk", "fast"), ("pool", "science")),
            tolerations=({"key": "science", "operator": "Exists"},),
            priority_class="low",
            pod_annotations=(("sidecar.istio.io/inject", "no"),),
            pod_labels=(("team", "sas"),),
            max_output_size=2 << 30,
            input_prefixes=("shared", "data/{star}"),
        ),
        max_active_stars=2_000_000,
        workers=3,
        job_ttl=60,
        star_ttl=70,
        status_interval=5,
        max_steps_per_stage=4,
        start_seconds=30,
        keep_logs=False,
        log_max_bytes=2_097_152,
        log_workers=5,
        archive=False,
        resync=40,
        lease="other-operator",
        identity="the-pod_the-uid",
    )
    read: set[str] = set()

    class Recording(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    Settings.from_environment(Recording(variables))
    assert read == set(variables)


def test_ports_are_the_ones_listened_on(defaults: list[Document]) -> None:
    (container,) = one(defaults, "Deployment")["spec"]["template"]["spec"]["containers"]
    settings = Settings.from_environment(environment(defaults))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": settings.health_port, "metrics": settings.metrics_port}
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "health"}


def test_operator_pod_is_restricted(defaults: list[Document]) -> None:
    """The Pod Security level `restricted`, field by field, and beyond it a read-only root."""
    pod = one(defaults, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC", "initContainers"))
    assert [set(volume) for volume in pod["volumes"]] == [{"name", "persistentVolumeClaim"}]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


def test_operator_writes_logs_and_archive_as_the_modules_user(render: Any) -> None:
    documents = render("modules.user=1234", "storage.products.claimName=out")
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    assert [pod["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")] == [1234] * 3
    assert pod["volumes"] == [{"name": "products", "persistentVolumeClaim": {"claimName": "out"}}]
    (container,) = pod["containers"]
    settings = Settings.from_environment(environment(documents))
    assert container["volumeMounts"] == [{"name": "products", "mountPath": str(settings.products)}]


@pytest.mark.parametrize(
    ("logs", "archive", "mounted"), [("true", "false", True), ("false", "true", True), ("false", "false", False)]
)
def test_products_are_mounted_where_they_are_written_to(render: Any, logs: str, archive: str, mounted: bool) -> None:
    documents = render(f"controller.logs.keep={logs}", f"controller.archive={archive}")
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    assert ("volumes" in pod) is mounted
    assert ("volumeMounts" in pod["containers"][0]) is mounted


def test_one_controller_at_a_time(defaults: list[Document]) -> None:
    spec = one(defaults, "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_module_pods_and_operator_pod_are_told_apart(defaults: list[Document]) -> None:
    labels = one(defaults, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert MANAGED_BY_LABEL not in labels
    policy = one(defaults, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == {MANAGED_BY_LABEL: MANAGER}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert "egress" not in policy
    selector = one(defaults, "Service")["spec"]["selector"]
    assert selector.items() <= labels.items()
    assert one(defaults, "Deployment")["spec"]["selector"]["matchLabels"] == selector
