"""What the benchmarks take from and put onto the platform."""

from pathlib import Path

import pytest
import yaml

from e2e.bench.cases import latency
from e2e.bench.measure import cpu, flow, handmade, observe, pipelines, simulator
from plato_sas.api import ScienceModuleSpec, StarPipelineSpec, StarProcessingSpec


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["/opt/venv/bin/python", "-m", "plato_sas.controller"], "operator"),
        (["/somewhere/.local/bin/kube-apiserver", "--x"], "kube-apiserver"),
        (["containerd", "--config=x"], "containerd"),
        (["python3", "-m", "plato_sas.stager"], None),
        ([], None),
    ],
)
def test_which_part_of_the_platform_a_process_is(command: list[str], role: str | None) -> None:
    assert cpu.role(command) == role


def test_what_two_looks_at_the_processes_tell() -> None:
    before = cpu.Usage({1: ("etcd", 5.0), 2: ("kwok", 1.0)})
    after = cpu.Usage({1: ("etcd", 7.5), 3: ("kwok", 0.5)})
    assert after.since(before) == {"etcd": 2.5, "kwok": 0.5}


def test_the_chain_is_what_the_operator_accepts() -> None:
    *modules, pipeline = pipelines.chain("chain", 3)
    for module in modules:
        ScienceModuleSpec.model_validate(module["spec"])
    steps = StarPipelineSpec.model_validate(pipeline["spec"]).steps
    assert [step.name for step in steps] == ["step1", "step2", "step3"]
    assert steps[2].inputs[0].step == "step2"
    StarProcessingSpec.model_validate(pipelines.star("x", "chain")["spec"])
    assert "IDP_BENCH_2.h5" in modules[1]["spec"]["command"][2]


def test_a_simulated_node_takes_nobody_elses_pods() -> None:
    stages = list(yaml.safe_load_all((Path(simulator.__file__).parent / "kwok" / "stages.yaml").read_text()))
    managed = stages[0]["options"]["manageNodesWithAnnotationSelector"]
    node = simulator._node(1)
    assert "=".join(next(iter(node["metadata"]["annotations"].items()))) == managed
    assert [taint["effect"] for taint in node["spec"]["taints"]] == ["NoSchedule"]


def test_a_job_applied_by_hand_is_nobodys() -> None:
    job = {
        "metadata": {
            "name": "star-step1-abc-1",
            "uid": "1",
            "ownerReferences": [{"uid": "2"}],
            "labels": {"app.kubernetes.io/managed-by": "plato-sas-operator"},
        },
        "spec": {
            "backoffLimit": 0,
            "selector": {"matchLabels": {"controller-uid": "1"}},
            "ttlSecondsAfterFinished": 5,
            "template": {
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/managed-by": "plato-sas-operator",
                        "batch.kubernetes.io/controller-uid": "1",
                        "controller-uid": "1",
                        "plato-sas.io/step": "step1",
                    }
                },
                "spec": {"containers": []},
            },
        },
    }
    found = handmade.plain(job, "perstep")
    assert found["metadata"]["name"] == "star-step1-abc-1"
    assert found["spec"].keys() == {"backoffLimit", "template"}
    assert "app.kubernetes.io/managed-by" not in found["metadata"]["labels"]
    assert not any("uid" in label for label in found["spec"]["template"]["metadata"]["labels"])
    assert found["metadata"]["labels"]["plato-sas.io/step"] == "step1"


def test_the_hand_made_job_has_as_many_containers_as_a_fused_stage() -> None:
    pod = handmade.fused_job("00", 7)["spec"]["template"]["spec"]
    assert (len(pod["initContainers"]), len(pod["containers"])) == (8, 1)


def test_the_least_job_goes_to_the_same_nodes_with_bare_containers() -> None:
    job = handmade.fused_job("00", 7)
    job["spec"]["template"]["spec"] |= {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "a"}]}
    found = handmade.least(job)["spec"]["template"]["spec"]
    assert found["nodeSelector"] == {"a": "b"}
    assert found["tolerations"] == [{"key": "a"}]
    assert "volumes" not in found
    assert [one.keys() for key in ("initContainers", "containers") for one in found[key]] == 2 * [
        {"name", "image", "command", "securityContext"}
    ]
    assert len(job["spec"]["template"]["spec"]["initContainers"]) == 8


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([], ""),
        ([{"type": "SuccessCriteriaMet", "status": "True"}], ""),
        ([{"type": "Complete", "status": "False"}], ""),
        ([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}], "Succeeded"),
        ([{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}], "Failed"),
    ],
)
def test_a_flow_of_jobs_sees_how_a_job_ended(conditions: list[dict[str, str]], state: str) -> None:
    kind = flow.jobs("plato", handmade.fused_job("00", 2))
    job = kind.make("job-1")
    assert job["metadata"]["name"] == "job-1"
    assert kind.state({**job, "status": {"conditions": conditions}}) == state


def test_how_far_a_pod_has_come() -> None:
    pod = {
        "spec": {"nodeName": "n"},
        "status": {
            "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}],
            "initContainerStatuses": [
                {"name": "stage-in", "state": {"terminated": {"exitCode": 0}}},
                {"name": "step-a", "state": {"running": {}}},
            ],
        },
    }
    assert set(latency.pod_marks(pod)) == {
        "pod created", "pod scheduled", "sandbox ready", "stage-in seen to run", "stage-in seen to have ended",
        "module seen to run",
    }  # fmt: skip
    assert list(latency.pod_marks({"spec": {}})) == ["pod created"]


def test_shares_per_star_leave_out_what_rounds_to_nothing() -> None:
    assert observe.per_star({"POST jobs": 100.0, "DELETE namespaces": 0.04}, 100) == {"POST jobs": 1.0}


def test_thinned_samples_keep_the_last() -> None:
    samples = [(float(number), float(number)) for number in range(1001)]
    kept = observe.thinned(samples, 100)
    assert len(kept) <= 102
    assert kept[0] == (0.0, 0.0)
    assert kept[-1] == (1000.0, 1000.0)
