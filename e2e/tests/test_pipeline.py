"""A star goes through its pipeline: order, branches, isolation, products, what the user sees."""

import hashlib
import json
import re
import stat

import pytest

from e2e.kubernetes import get, kubectl
from e2e.tests.site import FINISHED, Site, condition, states, steps, until
from plato_sas.api import Document


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
        "        'services': [name for name in os.environ if name.endswith('_SERVICE_HOST')],\n"
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
        "inputs": ["IDP_A"], "sas": ["in", "out", "params.json", "upstream"], "out": [], "uid": 10001, "token": False,
        "writable": ["/sas/out", "/tmp"], "input_writable": False, "services": ["KUBERNETES_SERVICE_HOST"],
        "star": "curious", "step": "probe",
    }  # fmt: skip
    # The probe's `x` was not declared, so it was not published, and the manifest says so.
    assert site.manifest("curious", "probe")["undeclaredFilesRemoved"] == 1


def row(site: Site, star: str) -> dict[str, str]:
    """What `kubectl get sp` prints of a star, by column."""
    header, line = kubectl("get", "sp", star, namespace=site.namespace).splitlines()
    columns = list(re.finditer(r"\S+", header))
    ends = [column.start() for column in columns[1:]] + [len(line)]
    return {one[0]: line[one.start() : end].strip() for one, end in zip(columns, ends, strict=True)}


def test_what_kubectl_shows(site: Site) -> None:
    site.synthetic("shown-a", outputs=["IDP_A"])
    site.synthetic("shown-b", inputs=["IDP_A"], outputs=["IDP_A"])
    site.pipeline("shown", [
        {"name": "one", "module": "shown-a"},
        {"name": "two", "module": "shown-b", "inputs": [{"name": "IDP_A", "step": "one"}]},
        {"name": "three", "module": "shown-b", "inputs": [{"name": "IDP_A", "step": "two"}]},
    ])  # fmt: skip
    slow = {"sleep_s": 6}
    site.start("watched", pipeline="shown", parameters={"one": slow, "two": slow})
    site.start("tripped", pipeline="shown", parameters={"two": {"exit_code": 3}})
    seen: list[tuple[str, ...]] = []

    def ended() -> bool:
        seen.append(tuple(row(site, "watched")[name] for name in ("STATE", "STEPS", "STEP")))
        return seen[-1][0] in FINISHED

    until(ended, "star watched finished", 120)
    running = [("Running", "0/3", "one"), ("Running", "1/3", "two")]
    assert [one for one in dict.fromkeys(seen) if one in running] == running
    assert seen[-1] == ("Succeeded", "3/3", "")
    site.finished("tripped")
    last = row(site, "tripped")
    assert re.fullmatch(r"\d+m?\d*s", last.pop("AGE"))
    assert last == {
        "NAME": "tripped", "STAR": "tripped", "CAMPAIGN": "e2e", "PIPELINE": "shown",
        "STATE": "Failed", "STEPS": "1/3", "STEP": "two",
    }  # fmt: skip
    assert "starpipeline" in kubectl("get", "plato", "-o", "name", namespace=site.namespace)


def pinned(site: Site, star: str) -> Document:
    """The pipeline and the modules in the ControllerRevision that the star's status names."""
    content: Document = get("controllerrevision", site.star(star)["status"]["revision"], namespace=site.namespace)
    return dict(content["data"])


def test_an_edited_pipeline_does_not_change_a_star_in_flight(site: Site) -> None:
    site.synthetic("slow", outputs=["IDP_A"])
    site.pipeline("edited", [{"name": "one", "module": "slow"}])
    site.start("in-flight", pipeline="edited", parameters={"one": {"sleep_s": 8}})
    site.in_state("in-flight", "one", "Running")
    accepted = pinned(site, "in-flight")
    site.pipeline("edited", [{"name": "one", "module": "slow"}, {"name": "two", "module": "slow"}])
    site.start("afterwards", pipeline="edited")

    before, after = site.finished("in-flight"), site.finished("afterwards")
    assert set(states(before)) == {"one"}
    assert set(states(after)) == {"one", "two"}
    assert before["revision"] != after["revision"]
    assert pinned(site, "in-flight") == accepted
    for star, status in (("in-flight", before), ("afterwards", after)):
        assert [step["name"] for step in pinned(site, star)["pipeline"]["steps"]] == list(states(status))


def test_an_edited_module_does_not_change_a_star_in_flight_not_even_under_a_new_operator(site: Site) -> None:
    site.synthetic("still", outputs=["IDP_A"])
    site.synthetic("moving", inputs=["IDP_A"], outputs=["IDP_B"])
    site.pipeline("moved", [
        {"name": "one", "module": "still"},
        {"name": "two", "module": "moving", "inputs": [{"name": "IDP_A", "step": "one"}]},
    ])  # fmt: skip
    site.start("earlier", pipeline="moved", stages="PerStep", parameters={"one": {"sleep_s": 10}})
    site.in_state("earlier", "one", "Running")
    site.synthetic("moving", inputs=["IDP_A"], outputs=["IDP_B", "IDP_C"], version="0.2.0")
    site.start("later", pipeline="moved", stages="PerStep")
    assert states(site.star("earlier")["status"])["two"] == "Pending"
    # Another process remembers nothing: what it starts step two with is the ControllerRevision.
    kubectl("delete", "pods", "--selector=app.kubernetes.io/name=plato-sas", namespace=site.namespace)
    kubectl("rollout", "status", "deployment/plato-sas-operator", "--timeout=120s", namespace=site.namespace)

    versions = {"earlier": ("0.1.0", ["IDP_B"]), "later": ("0.2.0", ["IDP_B", "IDP_C"])}
    for star, (version, outputs) in versions.items():
        assert site.finished(star)["state"] == "Succeeded"
        two, module = site.manifest(star, "two"), pinned(site, star)["modules"]["moving"]
        assert (two["module"]["version"], sorted(two["outputs"])) == (version, outputs)
        assert two["module"]["args"] == [*(f"--output={one}.h5" for one in outputs), "--input=IDP_A"]
        assert module["version"] == version
        assert [one["name"] for one in module["outputs"]] == outputs


def test_the_operator_tells_the_kubelet_how_it_is_and_logs_json(site: Site, branching: str) -> None:
    site.start("counted", pipeline=branching, parameters={"first": {"facts": '{"go": false}'}})
    site.finished("counted")
    pods = f"/api/v1/namespaces/{site.namespace}/pods"
    name = kubectl(
        *("get", "pods", "--selector=app.kubernetes.io/name=plato-sas", "-o", "jsonpath={.items[0].metadata.name}"),
        namespace=site.namespace,
    )
    assert kubectl("get", "--raw", f"{pods}/{name}:8080/proxy/healthz").strip() == "{}"
    log = kubectl("logs", name, "--tail=50", namespace=site.namespace)
    assert all("severity" in json.loads(line) for line in log.splitlines())
