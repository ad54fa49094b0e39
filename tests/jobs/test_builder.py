"""A stage as a Job: locked down, and with nothing in a module's sight but its own."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from plato_sas.api import amount
from plato_sas.jobs.builder import build_job
from plato_sas.jobs.stage import SalvageRun, Site, StageRun
from plato_sas.plan.graph.graph import build_graph
from plato_sas.stager.description import PublishOrder, Stage
from tests.support.samples import LIGHT_CURVE, UID, graph, module, output_of, pipeline
from tests.support.simulator import World

SITE = Site(stager_image="registry/stager:1")
GRAPH = graph(
    {"a": [], "b": ["a"]},
    module_fields={
        "a": {"command": ["run"], "args": ["--fast"], "timeout": "20m", "resources": {"scratch": "3Gi"}},
        "b": {
            "inputs": [{"name": output_of("a")}],
            "parameters": [{"name": "note", "type": "string", "default": "plain"}],
        },
    },
)


def stage(step: str, **spec: Any) -> StageRun:
    return World(GRAPH, stages="PerStep", **spec).run().stage(step)


def pod(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def containers(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in [*pod(job).get("initContainers", []), *pod(job)["containers"]]}


def fused(**spec: Any) -> StageRun:
    """Two steps in one pod, the second reading what the first makes."""
    return World(GRAPH, **spec).run().stage("a")


def salvage() -> SalvageRun:
    """Of a, whose Job was evicted when it ran b."""
    world = World(GRAPH)
    world.decide()
    world.begin_step("b")
    world.job_of("b").kill("Evicted")
    world.decide()
    run = world.job_of("a").run
    assert isinstance(run, SalvageRun)
    return run


def late(**input_fields: Any) -> StageRun:
    """A step with an input that only the pod can see beside one that is mounted."""
    modules = {"m": module(inputs=[{"name": LIGHT_CURVE}, {"name": "KIT", "optional": True}])}
    inputs = [{"name": LIGHT_CURVE, "external": LIGHT_CURVE}, {"name": "KIT", **input_fields}]
    spec = pipeline([{"name": "a", "module": "m", "inputs": inputs}])
    return World(build_graph("sas-test", spec, modules), previousCampaign="q0").run().stage("a")


def test_stage_in_then_the_steps_in_order_then_publish() -> None:
    job = build_job(fused(), SITE)
    assert [one["name"] for one in pod(job)["initContainers"]] == ["stage-in", "step-a", "step-b"]
    assert [one["name"] for one in pod(job)["containers"]] == ["publish"]


@pytest.mark.parametrize("make", [lambda: stage("a"), fused, salvage])
def test_every_container_meets_the_restricted_level(make: Any) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, rule by rule."""
    job = build_job(make(), SITE)
    spec = pod(job)
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= {"persistentVolumeClaim", "emptyDir", "configMap", "projected"}
    for container in containers(job).values():
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert "privileged" not in security
        assert "ports" not in container


def test_no_container_can_speak_to_the_api_server() -> None:
    spec = pod(build_job(stage("a"), SITE))
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False


def test_a_module_sees_exactly_its_own_files() -> None:
    one = stage("b")
    mounts = containers(build_job(one, SITE))["step-b"]["volumeMounts"]
    assert sorted(mounts, key=lambda mount: mount["mountPath"]) == [
        {"name": "sas-b", "mountPath": "/sas", "readOnly": True},
        {
            "name": "products",
            "mountPath": f"/sas/in/{output_of('a')}",
            "subPath": f"q1/KIC6603624/a/{output_of('a')}.h5",
            "readOnly": True,
        },
        {
            "name": "products",
            "mountPath": "/sas/out",
            "subPath": f"q1/KIC6603624/.attempts/{one.description.id}/b",
        },
        {"name": "scratch-b", "mountPath": "/tmp"},
    ]


def test_an_external_input_is_one_read_only_file() -> None:
    mounts = containers(build_job(stage("a"), SITE))["step-a"]["volumeMounts"]
    (light_curve,) = [mount for mount in mounts if mount["name"] == "inputs"]
    assert light_curve == {
        "name": "inputs",
        "mountPath": f"/sas/in/{LIGHT_CURVE}",
        "subPath": "q1/KIC6603624/lc.h5",
        "readOnly": True,
    }


def test_in_a_fused_stage_no_module_reaches_anothers_folder() -> None:
    by_name = containers(build_job(fused(), SITE))
    for step in "ab":
        mounts = by_name[f"step-{step}"]["volumeMounts"]
        writable = [mount for mount in mounts if not mount.get("readOnly")]
        assert {mount["mountPath"] for mount in writable} == {"/sas/out", "/tmp"}
        for mount in mounts:
            whole_volume = "subPath" not in mount
            assert whole_volume == (mount["name"] in (f"sas-{step}", f"scratch-{step}"))
            assert whole_volume or "/KIC6603624/" in mount["subPath"]


def test_only_the_stager_sees_the_volumes() -> None:
    by_name = containers(build_job(stage("a"), SITE))
    stage_in = {mount["name"]: mount for mount in by_name["stage-in"]["volumeMounts"]}
    assert stage_in.keys() == {"inputs", "products", "sas-a"}
    assert stage_in["inputs"]["readOnly"] is True
    publish = {mount["name"]: mount for mount in by_name["publish"]["volumeMounts"]}
    assert publish.keys() == {"inputs", "products"}
    assert publish["inputs"]["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod(build_job(stage("a"), SITE))["volumes"]}
    assert volumes["inputs"]["persistentVolumeClaim"] == {"claimName": "sas-inputs", "readOnly": True}


def test_the_environment_is_the_contracts() -> None:
    one = stage("a")
    env = {item["name"]: item["value"] for item in containers(build_job(one, SITE))["step-a"]["env"]}
    assert env.keys() == {"SAS_STAR", "SAS_CAMPAIGN", "SAS_STEP", "SAS_ATTEMPT", "SAS_SEED"}
    assert (env["SAS_STAR"], env["SAS_CAMPAIGN"], env["SAS_STEP"], env["SAS_ATTEMPT"]) == (
        "KIC6603624", "q1", "a", "1"
    )  # fmt: skip
    assert 0 <= int(env["SAS_SEED"]) < 2**32


def test_an_image_runs_untouched_unless_the_catalogue_says_otherwise() -> None:
    by_name = containers(build_job(fused(), SITE))
    assert (by_name["step-a"]["command"], by_name["step-a"]["args"]) == (["run"], ["--fast"])
    assert "command" not in by_name["step-b"]
    assert "args" not in by_name["step-b"]


def test_resources_and_deadline_come_from_the_catalogue() -> None:
    job = build_job(stage("a"), SITE)
    resources = containers(job)["step-a"]["resources"]
    disk = str((3 << 30) + (64 << 20) + (4 << 30))  # scratch, its /sas, logs
    assert resources == {
        "requests": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "0"},
        "limits": {"memory": "512Mi", "ephemeral-storage": disk},
    }
    (scratch,) = [volume for volume in pod(job)["volumes"] if volume["name"] == "scratch-a"]
    assert scratch["emptyDir"] == {"sizeLimit": "3Gi"}
    assert 1200 < pod(job)["activeDeadlineSeconds"] <= 1200 + 900
    assert pod(build_job(fused(), SITE))["activeDeadlineSeconds"] >= 1200 + 3600


def test_the_limit_of_a_pods_disk_has_room_for_all_its_folders() -> None:
    job = build_job(fused(), SITE)
    folders = [amount(one["emptyDir"]["sizeLimit"]) for one in pod(job)["volumes"] if "emptyDir" in one]
    limits = [one["resources"]["limits"].get("ephemeral-storage") for one in pod(job)["initContainers"]]
    assert len(folders) == 4
    assert limits == [None, *[str(int(sum(folders)) + (4 << 30))] * 2], "the kubelet sums over the pod"


def test_the_job_never_retries_by_itself_not_even_after_a_disruption() -> None:
    for run in (stage("a"), salvage()):
        spec = build_job(run, SITE)["spec"]
        assert spec["backoffLimit"] == 0
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
        assert "podFailurePolicy" not in spec
        assert "ttlSecondsAfterFinished" not in spec, "the operator lets it go once its logs are kept"


def test_a_job_says_which_attempt_at_which_step_it_runs() -> None:
    assert build_job(fused(), SITE)["metadata"]["annotations"] == {"plato-sas.io/steps": "a=1,b=1"}
    assert build_job(salvage(), SITE)["metadata"]["annotations"] == {"plato-sas.io/steps": "a=1"}


@pytest.mark.parametrize("source", [{"external": LIGHT_CURVE}, {"previous": "a", "output": "OUT"}])
def test_what_only_the_pod_can_see_comes_in_a_folder_that_stage_in_fills(source: dict[str, str]) -> None:
    job = build_job(late(**source), SITE)
    mounts = [one for one in containers(job)["step-a"]["volumeMounts"] if one["mountPath"].startswith("/sas/in")]
    assert mounts == [
        {
            "name": "inputs",
            "mountPath": f"/sas/in/{LIGHT_CURVE}",
            "subPath": "q1/KIC6603624/lc.h5",
            "readOnly": True,
        },
    ], "the late one is in /sas/in already"
    (work,) = [volume for volume in pod(job)["volumes"] if volume["name"] == "sas-a"]
    (other,) = [volume for volume in pod(build_job(stage("a"), SITE))["volumes"] if volume["name"] == "sas-a"]
    assert (work["emptyDir"], other["emptyDir"]) == ({"sizeLimit": "4Gi"}, {"sizeLimit": "64Mi"})


def test_a_product_of_the_campaign_before_is_read_from_there() -> None:
    (_, kit) = late(previous="a", output="OUT").description.steps[0].inputs
    assert (kit.volume, kit.path, kit.producer) == ("products", "q0/KIC6603624/a/OUT.h5", "q0/KIC6603624/a")
    assert (kit.optional, kit.late) == (True, True)


def test_a_fused_step_reads_in_the_folder_of_the_one_before() -> None:
    one = fused()
    mounts = containers(build_job(one, SITE))["step-b"]["volumeMounts"]
    assert f"/sas/in/{output_of('a')}" not in {mount["mountPath"] for mount in mounts}, "a link, made by stage-in"
    (read,) = [mount for mount in mounts if mount["mountPath"] == "/sas/upstream/a"]
    assert read["subPath"] == f"q1/KIC6603624/.attempts/{one.description.id}/a"
    assert (read["name"], read["readOnly"]) == ("products", True)


def test_the_folder_of_a_step_is_mounted_once_however_many_of_its_files_are_read() -> None:
    modules = {
        "a": module(outputs=[{"name": "ONE"}, {"name": "TWO"}]),
        "b": module(inputs=[{"name": "ONE"}, {"name": "TWO"}]),
    }
    inputs = [{"name": name, "step": "a"} for name in ("ONE", "TWO")]
    spec = pipeline([{"name": "a", "module": "a"}, {"name": "b", "module": "b", "inputs": inputs}])
    run = World(build_graph("sas-test", spec, modules)).run().stage("a")
    mounts = [mount["mountPath"] for mount in containers(build_job(run, SITE))["step-b"]["volumeMounts"]]
    assert mounts == ["/sas", "/sas/out", "/tmp", "/sas/upstream/a"]


def test_the_node_opens_no_path_in_which_a_module_could_have_put_a_link() -> None:
    """The kubelet follows links inside a volume: what a module can write may be no more than a path's last folder."""
    one = fused()
    writable = {f"q1/KIC6603624/.attempts/{one.job}/{step}" for step in "ab"}
    for container in containers(build_job(one, SITE)).values():
        for mount in container["volumeMounts"]:
            path = mount.get("subPath", "")
            assert path in writable or not any(path.startswith(f"{folder}/") for folder in writable)


def test_publish_is_told_what_to_publish() -> None:
    one = fused()
    for run in (one, salvage()):
        (variable,) = [v for v in containers(build_job(run, SITE))["publish"]["env"] if v["name"] == "SAS_PUBLISH"]
        order = PublishOrder.from_json(variable["value"])
        assert (order.campaign, order.star, order.attempt) == ("q1", "KIC6603624", one.job)
        assert order.steps == list(run.numbers)


def test_publish_gets_the_modules_limit_of_an_output_or_the_sites() -> None:
    limited = graph({"a": []}, module_fields={"a": {"outputs": [{"name": "ONE", "maxSize": "2Gi"}, {"name": "TWO"}]}})
    one = World(limited).run().stage("a")
    assert [output.max_size for output in one.description.steps[0].outputs] == [2 << 30, None]
    for run in (one, salvage()):
        publish = containers(build_job(run, replace(SITE, max_output_size=1 << 20)))["publish"]
        (variable,) = [v for v in publish["env"] if v["name"] == "SAS_PUBLISH"]
        assert PublishOrder.from_json(variable["value"]).max_size == 1 << 20


def test_a_salvage_is_publish_alone() -> None:
    job = build_job(salvage(), SITE)
    assert list(containers(job)) == ["publish"]
    assert [volume["name"] for volume in pod(job)["volumes"]] == ["inputs", "products"]
    assert pod(job)["activeDeadlineSeconds"] == 600
    assert job["metadata"]["labels"]["plato-sas.io/step"] == "a"


def test_a_job_belongs_to_its_star_and_can_be_found() -> None:
    job = build_job(stage("b"), SITE)
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "StarProcessing", "star-1", UID, True
    )  # fmt: skip
    labels = job["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "plato-sas-operator"
    assert labels["plato-sas.io/step"] == "b"
    assert job["spec"]["template"]["metadata"]["labels"] == labels
    assert all(len(value) <= 63 for value in labels.values())
    assert job["metadata"]["namespace"] == "plato"


def test_a_queue_label_is_passed_through_and_other_labels_are_not() -> None:
    one = stage("a")
    owner = replace(one.owner, labels={"kueue.x-k8s.io/queue-name": "night", "team": "x"})
    labels = build_job(replace(one, owner=owner), SITE)["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "night"
    assert "team" not in labels


def test_container_and_volume_names_fit_for_the_longest_step() -> None:
    name = "s" * 32
    job = build_job(World(graph({name: []})).run().stage(name), SITE)
    for one in [*containers(job), *(volume["name"] for volume in pod(job)["volumes"]), job["metadata"]["name"]]:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", one)


def test_the_same_stage_gives_the_same_job() -> None:
    assert json.dumps(build_job(stage("b"), SITE)) == json.dumps(build_job(stage("b"), SITE))


def expanded(value: str, known: dict[str, str]) -> str:
    """Kubernetes' expansion of a container's env value: $(NAME) where known, $$ for a dollar."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda m: "$" if m[0] == "$$" else known.get(m[1], m[0]), value)


@pytest.mark.parametrize("note", ["plain", "$(SAS_STAGE)", "$$(HOME)", "a$$b", "$", 'quo"te'])
def test_the_description_reaches_stage_in_as_it_was_written(note: str) -> None:
    one = stage("b", parameters={"b": {"note": note}})
    (variable,) = containers(build_job(one, SITE))["stage-in"]["env"]
    received = Stage.from_json(expanded(variable["value"], {"SAS_STAGE": "?"}))
    assert received == one.description
    assert received.steps[0].parameters == {"note": note}


def test_the_sites_annotations_and_labels_are_on_the_pod_and_ours_win() -> None:
    inject = "sidecar.istio.io/inject"
    site = Site(
        stager_image="s",
        pod_annotations=((inject, "false"),),
        pod_labels=((inject, "false"), ("plato-sas.io/star", "another"), ("app.kubernetes.io/managed-by", "another")),
    )
    job, plain = build_job(stage("a"), site), build_job(stage("a"), SITE)
    metadata = job["spec"]["template"]["metadata"]
    assert metadata["annotations"] == {inject: "false"}
    assert metadata["labels"] == {inject: "false", **plain["spec"]["template"]["metadata"]["labels"]}
    assert job["metadata"] == plain["metadata"], "the Job itself has nothing of them"
    assert "annotations" not in plain["spec"]["template"]["metadata"]


def test_a_path_that_the_star_chose_comes_with_the_folders_that_the_site_allows() -> None:
    site = replace(SITE, input_prefixes=("{star}", "shared/{campaign}"))
    for inputs, prefixes in (({LIGHT_CURVE: {"path": "shared/q1/lc.h5"}}, ["KIC6603624", "shared/q1"]), ({}, [])):
        (variable,) = containers(build_job(stage("a", inputs=inputs), site))["stage-in"]["env"]
        assert Stage.from_json(variable["value"]).prefixes == prefixes


def test_what_the_site_sets() -> None:
    site = Site(
        stager_image="registry/stager:2",
        inputs_claim="in",
        products_claim="out",
        user=4242,
        image_pull_policy="Always",
        image_pull_secrets=("secret",),
        node_selector=(("disk", "fast"),),
        priority_class="low",
    )
    job = build_job(stage("a"), site)
    spec = pod(job)
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 4242
    assert (spec["imagePullSecrets"], spec["nodeSelector"], spec["priorityClassName"]) == (
        [{"name": "secret"}], {"disk": "fast"}, "low"
    )  # fmt: skip
    assert {one["imagePullPolicy"] for one in containers(job).values()} == {"Always"}
    assert containers(job)["publish"]["image"] == "registry/stager:2"
    claims = [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ["in", "out"]
    assert not {"imagePullSecrets", "nodeSelector", "priorityClassName"} & pod(build_job(stage("a"), SITE)).keys()
