"""A star goes through its pipeline: order, branches, isolation, products, what the user sees."""

import hashlib
import json
import stat

import pytest

from e2e.kubernetes import kubectl
from e2e.tests.site import Site, condition, states, steps


@pytest.fixture(scope="module")
def branching(site: Site) -> str:
    """first -> (gated, plain) -> last; `gated` runs when `first` says so, `last` can do without it."""
    site.synthetic("first", outputs=["IDP_A"], facts=[{"name": "go", "type": "boolean"}])
    site.synthetic("middle", inputs=["IDP_A"], outputs=["IDP_B"])
    site.synthetic("last", inputs=["IDP_B", "IDP_C"], optional=["IDP_C"], outputs=["DP5_Z"])
    site.pipeline(
        "branching",
        [
            {"name": "last", "module": "last", "inputs": [
                {"name": "IDP_B", "step": "plain"}, {"name": "IDP_C", "step": "gated", "output": "IDP_B"}]},
            {"name": "gated", "module": "middle", "when": "facts['first'].go",
             "inputs": [{"name": "IDP_A", "step": "first"}]},
            {"name": "plain", "module": "middle", "inputs": [{"name": "IDP_A", "step": "first"}]},
            {"name": "first", "module": "first"},
        ],
    )  # fmt: skip
    return "branching"


def test_a_condition_decides_which_steps_run(site: Site, branching: str) -> None:
    site.start("gate-open", pipeline=branching, parameters={"first": {"facts": '{"go": true}'}})
    site.start("gate-shut", pipeline=branching, parameters={"first": {"facts": '{"go": false}'}})
    opened, shut = site.finished("gate-open"), site.finished("gate-shut")

    assert opened["state"] == shut["state"] == "Succeeded"
    assert opened["progress"] == shut["progress"] == "4/4"
    assert set(states(opened).values()) == {"Succeeded"}
    assert states(shut) == {"first": "Succeeded", "gated": "Skipped", "plain": "Succeeded", "last": "Succeeded"}
    assert steps(shut)["gated"]["reason"] == "ConditionFalse"
    assert site.published("gate-open") == {"first", "gated", "plain", "last"}
    assert site.published("gate-shut") == {"first", "plain", "last"}
    assert opened["facts"]["first"] == {"go": True}
    assert condition(opened, "Accepted")["status"] == condition(opened, "Complete")["status"] == "True"
    # The optional input was there for one, and not for the other.
    assert set(site.manifest("gate-open", "last")["inputs"]) == {"IDP_B", "IDP_C"}
    assert set(site.manifest("gate-shut", "last")["inputs"]) == {"IDP_B"}


def test_a_manifest_tells_where_a_product_comes_from(site: Site, branching: str) -> None:
    site.start("traced", pipeline=branching, parameters={"first": {"facts": '{"go": false}'}})
    status = site.finished("traced")
    first, plain = site.manifest("traced", "first"), site.manifest("traced", "plain")
    product = site.products / "e2e" / "traced" / "first" / "IDP_A.h5"

    content = product.read_bytes()
    assert first["outputs"]["IDP_A"] == {
        "path": "IDP_A.h5", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()
    }  # fmt: skip
    assert plain["inputs"]["IDP_A"]["sha256"] == first["outputs"]["IDP_A"]["sha256"]
    assert first["module"]["imageDigest"].startswith("sha256:")
    assert first["parameters"]["facts"] == '{"go": false}'
    assert first["attempt"] == 1
    assert steps(status)["first"]["digest"] == first["digest"]
    assert stat.S_IMODE(product.stat().st_mode) == 0o444


def test_what_a_module_can_see_and_do(site: Site, branching: str) -> None:
    """Its own inputs and output and nothing else: no other star, no token, no root, no writable system."""
    site.start("neighbour", pipeline=branching, parameters={"first": {"facts": '{"go": false}'}})
    site.finished("neighbour")
    probe = (
        "import json, os, pathlib\n"
        "def writable(path):\n"
        "    try:\n"
        "        pathlib.Path(path, 'x').write_text('x'); return True\n"
        "    except OSError:\n"
        "        return False\n"
        "seen = {'inputs': sorted(os.listdir('/sas/in')), 'sas': sorted(os.listdir('/sas')),\n"
        "        'out': os.listdir('/sas/out'), 'uid': os.getuid(),\n"
        "        'token': os.path.exists('/var/run/secrets/kubernetes.io'),\n"
        "        'writable': [p for p in ('/', '/sas', '/sas/in', '/opt', '/sas/out', '/tmp') if writable(p)],\n"
        "        'input_writable': os.access('/sas/in/IDP_A', os.W_OK),\n"
        "        'star': os.environ['SAS_STAR'], 'step': os.environ['SAS_STEP']}\n"
        "pathlib.Path('/sas/out/IDP_B.h5').write_text(json.dumps(seen))\n"
    )
    site.synthetic("probe", inputs=["IDP_A"], outputs=["IDP_B"], command=["python3", "-c", probe], args=[])
    site.pipeline(
        "probing",
        [
            {"name": "first", "module": "first"},
            {"name": "probe", "module": "probe", "inputs": [{"name": "IDP_A", "step": "first"}]},
        ],
    )
    site.start("curious", pipeline="probing")
    assert site.finished("curious")["state"] == "Succeeded"

    seen = json.loads((site.products / "e2e" / "curious" / "probe" / "IDP_B.h5").read_text())
    assert seen == {
        "inputs": ["IDP_A"], "sas": ["in", "out", "params.json"], "out": [], "uid": 10001, "token": False,
        "writable": ["/sas/out", "/tmp"], "input_writable": False, "star": "curious", "step": "probe",
    }  # fmt: skip
    # The probe's `x` was not declared, so it was not published, and the manifest says so.
    assert site.manifest("curious", "probe")["undeclaredFilesRemoved"] == 1


def test_what_kubectl_shows(site: Site, branching: str) -> None:
    site.start("shown", pipeline=branching, parameters={"first": {"facts": '{"go": false}'}})
    site.finished("shown")
    table = kubectl("get", "sp", "shown", namespace=site.namespace).splitlines()
    assert table[0].split() == ["NAME", "STAR", "CAMPAIGN", "PIPELINE", "STATE", "STEPS", "STEP", "AGE"]
    assert table[1].split()[:6] == ["shown", "shown", "e2e", "branching", "Succeeded", "4/4"]
    assert "starpipeline" in kubectl("get", "plato", "-o", "name", namespace=site.namespace)


def test_an_edited_pipeline_does_not_change_a_star_in_flight(site: Site) -> None:
    site.synthetic("slow", outputs=["IDP_A"])
    site.pipeline("edited", [{"name": "one", "module": "slow"}])
    site.start("in-flight", pipeline="edited", parameters={"one": {"sleep_s": 8}})
    site.in_state("in-flight", "one", "Running")
    site.pipeline("edited", [{"name": "one", "module": "slow"}, {"name": "two", "module": "slow"}])
    site.start("afterwards", pipeline="edited")

    before, after = site.finished("in-flight"), site.finished("afterwards")
    assert set(states(before)) == {"one"}
    assert set(states(after)) == {"one", "two"}
    assert before["revision"] != after["revision"]


def test_the_operator_tells_prometheus_and_the_kubelet_how_it_is(site: Site, branching: str) -> None:
    site.start("counted", pipeline=branching, parameters={"first": {"facts": '{"go": false}'}})
    site.finished("counted")
    pods = f"/api/v1/namespaces/{site.namespace}/pods"
    name = kubectl(
        *("get", "pods", "--selector=app.kubernetes.io/name=plato-sas", "-o", "jsonpath={.items[0].metadata.name}"),
        namespace=site.namespace,
    )
    metrics = kubectl("get", "--raw", f"{pods}/{name}:9090/proxy/metrics")
    assert 'plato_sas_steps_total{module="middle",outcome="Skipped"}' in metrics
    assert 'plato_sas_queue_depth{kind="StarProcessing"} 0.0' in metrics
    assert kubectl("get", "--raw", f"{pods}/{name}:8080/proxy/healthz").strip() == "{}"
    log = kubectl("logs", name, "--tail=50", namespace=site.namespace)
    assert all("severity" in json.loads(line) for line in log.splitlines())
