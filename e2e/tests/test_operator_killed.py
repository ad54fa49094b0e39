"""The operator dies in mid-run, again and again: nothing is run twice, nothing is lost."""

import os
import signal

from e2e.bench.measure.cpu import operator_pid
from e2e.kubernetes import get, kubectl
from e2e.tests.site import Site, states, steps, until

STARS = [f"survivor-{index}" for index in range(4)]
STEPS = ["one", "two", "three"]
KILLS = 3
_OPERATOR = "--selector=app.kubernetes.io/name=plato-sas"


def test_the_operator_is_killed_in_mid_run(site: Site) -> None:
    site.synthetic("begin", outputs=["IDP_A"])
    site.synthetic("carry", inputs=["IDP_A"], outputs=["IDP_A"])
    carried = [{"name": "two", "from": "one"}, {"name": "three", "from": "two"}]
    following = [
        {"name": one["name"], "module": "carry", "inputs": [{"name": "IDP_A", "step": one["from"]}]} for one in carried
    ]
    site.pipeline("three-steps", [{"name": "one", "module": "begin"}, *following])
    for star in STARS:
        site.start(star, pipeline="three-steps", parameters={"one": {"sleep_s": 2}})
    uids: dict[str, set[str]] = {}  # of the Jobs that were seen, by name
    killed = 0

    def progress() -> int:
        for star in STARS:
            for job in site.jobs(star):
                uids.setdefault(job["metadata"]["name"], set()).add(job["metadata"]["uid"])
        return sum(
            state == "Succeeded" for star in STARS for state in states(site.star(star).get("status", {})).values()
        )

    total = len(STARS) * len(STEPS)
    while killed < KILLS:
        wanted = killed * total // KILLS
        until(lambda wanted=wanted: progress() >= wanted or None, f"{wanted} steps done", 180)  # type: ignore[misc]
        os.kill(_operator_process(site), signal.SIGKILL)
        killed += 1
    for star in STARS:
        status = site.finished(star, 240)
        progress()
        assert status["state"] == "Succeeded", status
        assert states(status) == dict.fromkeys(STEPS, "Succeeded")
        # One Job a step, ever: the attempt that ran is the first, and it is the one published.
        assert [steps(status)[step]["attempt"] for step in STEPS] == [1, 1, 1]
        assert [site.manifest(star, step)["attempt"] for step in STEPS] == [1, 1, 1]
    assert all(name.endswith("-1") and len(seen) == 1 for name, seen in uids.items()), uids
    # A new pod: the kubelet would hold the old one back for a while after its crashes.
    kubectl("delete", "pods", _OPERATOR, namespace=site.namespace)
    kubectl("rollout", "status", "deployment/plato-sas-operator", "--timeout=120s", namespace=site.namespace)


def _operator_process(site: Site) -> int:
    """The process on this machine that is the operator's container, once it runs."""

    def look() -> int | None:
        pods = get("pods", _OPERATOR, namespace=site.namespace)
        found = (operator_pid(pod["metadata"]["uid"]) for pod in pods)
        return next((pid for pid in found if pid is not None), None)

    return until(look, "the operator's process", 120)
