"""What Prometheus is told of stars that succeed, skip, are tried again and fail."""

import pytest

from e2e.bench.measure.metrics import Samples
from e2e.kubernetes import kubectl
from e2e.tests.site import Site, until

_NAMES = ("works", "wobbles", "breaks")
_STARS = ("counted-well", "counted-wobbly", "counted-sick")


def _look(site: Site) -> Samples:
    name = kubectl(
        *("get", "pods", "--selector=app.kubernetes.io/name=plato-sas", "-o", "jsonpath={.items[0].metadata.name}"),
        namespace=site.namespace,
    )
    path = f"/api/v1/namespaces/{site.namespace}/pods/{name}:9090/proxy/metrics"
    return Samples.parse(kubectl("get", "--raw", path), "plato_sas_")


def _by(samples: Samples, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A metric's values of this test's modules by further labels, those that did not change left out."""
    return {
        tuple(found[one] for one in ("module", *labels)): value
        for found, value in samples.of(name)
        if found["module"] in _NAMES and value
    }


@pytest.fixture(scope="module")
def pipeline(site: Site) -> str:
    """works -> breaks under a condition, and beside them wobbles."""
    site.synthetic("works", outputs=["IDP_A"], facts=[{"name": "go", "type": "boolean"}])
    site.synthetic("wobbles", outputs=["IDP_B"], retry={"temporary": 1})
    site.synthetic("breaks", inputs=["IDP_A"], outputs=["IDP_C"])
    site.pipeline("counted", [
        {"name": "works", "module": "works"},
        {"name": "wobbles", "module": "wobbles"},
        {"name": "breaks", "module": "breaks", "inputs": [{"name": "IDP_A", "step": "works"}],
         "when": "facts['works'].go"},
    ])  # fmt: skip
    return "counted"


def test_each_step_counts_once_under_its_module_and_outcome(site: Site, pipeline: str) -> None:
    before = _look(site)
    yes, no = ({"works": {"facts": f'{{"go": {go}}}'}} for go in ("true", "false"))
    well, wobbly, sick = _STARS
    site.start(well, pipeline=pipeline, parameters=no)
    site.start(wobbly, pipeline=pipeline, parameters={**no, "wobbles": {"exit_code": 75, "failures": 1}})
    site.start(sick, pipeline=pipeline, parameters={**yes, "breaks": {"exit_code": 3}})
    until(lambda: _look(site).one("plato_sas_active_stars") >= 1, "a star at work", 60)
    assert [site.finished(name)["state"] for name in _STARS] == ["Succeeded", "Succeeded", "Failed"]

    now = _look(site)
    added = now.since(before)
    assert _by(added, "plato_sas_steps_total", "outcome") == {
        ("works", "Succeeded"): 3, ("wobbles", "Succeeded"): 3, ("breaks", "Skipped"): 2, ("breaks", "Failed"): 1,
    }  # fmt: skip
    assert _by(added, "plato_sas_step_retries_total", "failure_class") == {("wobbles", "Temporary"): 1}
    assert _by(added, "plato_sas_step_duration_seconds_count") == {("works",): 3, ("wobbles",): 3}


def test_the_operators_own_work_is_told(site: Site, pipeline: str) -> None:
    """Of the stars before this."""

    def idle() -> Samples | None:
        seen = _look(site)
        depth = sum(value for _, value in seen.of("plato_sas_queue_depth"))
        active = [value for labels, value in seen.of("plato_sas_jobs") if labels["state"] == "active"]
        return seen if depth == 0 and active == [0] and seen.one("plato_sas_active_stars") == 0 else None

    seen = until(idle, "nothing at work", 120)
    assert seen.one("plato_sas_starprocessings") >= len(_STARS)
    assert seen.one("plato_sas_leader") == 1
    reconciles = {(one["kind"], one["outcome"]): value for one, value in
                  seen.of("plato_sas_reconcile_duration_seconds_count")}  # fmt: skip
    assert reconciles["StarProcessing", "ok"] > 0
    latencies = {one["kind"]: value for one, value in seen.of("plato_sas_queue_latency_seconds_count")}
    assert latencies["StarProcessing"] > 0
    requests = {(one["method"], one["code"]): value for one, value in seen.of("plato_sas_api_requests_total")}
    assert requests["POST", "201"] >= 1, "Jobs"
    assert requests["PATCH", "200"] >= 1, "statuses"
    assert seen.one("plato_sas_event_loop_lag_seconds_count") > 0


def test_no_label_has_a_value_per_star(site: Site, pipeline: str) -> None:
    values = {value for _, labels in _look(site).values for _, value in labels}
    assert "works" in values
    assert not [value for value in values if any(star in value for star in _STARS)]
