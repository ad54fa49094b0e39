"""What Kubernetes' objects say to the judge."""

import json
from typing import Any

from e2e.chaos.evidence import job_seen, pod_seen, reports, star_seen
from e2e.chaos.judge import Publication, StepSeen

METADATA = {"name": "n", "uid": "u", "labels": {"plato-sas.io/star": "s"}, "ownerReferences": [{"uid": "o"}]}


def _pod(message: str, container: str = "publish", phase: str = "Succeeded") -> dict[str, Any]:
    ended = {"name": container, "state": {"terminated": {"exitCode": 0, "message": message}}}
    order = {"name": "SAS_PUBLISH", "value": json.dumps({"attempt": "attempt-1", "steps": ["a", "b"]})}
    spec = {"containers": [{"name": container, "env": [{"name": "SAS_NODE"}, order]}]}
    return {"metadata": METADATA, "spec": spec, "status": {"phase": phase, "containerStatuses": [ended]}}


def test_a_star_and_its_steps() -> None:
    steps = [
        {"name": "a", "state": "Succeeded", "digest": "d", "retries": {"Infrastructure": 2}},
        {"name": "b", "state": "Skipped", "reason": "r"},
    ]
    seen = star_seen({"metadata": METADATA, "status": {"state": "Succeeded", "steps": steps}})
    assert (seen.star, seen.uid, seen.state) == ("n", "u", "Succeeded")
    assert seen.steps == {
        "a": StepSeen("Succeeded", None, "d", {"Infrastructure": 2}),
        "b": StepSeen("Skipped", "r", None),
    }
    assert star_seen({"metadata": METADATA}).state == ""


def test_a_job_is_active_until_it_is_complete_or_failed() -> None:
    def job(kind: str, status: str = "True") -> bool:
        return job_seen({"metadata": METADATA, "status": {"conditions": [{"type": kind, "status": status}]}}).active

    assert job_seen({"metadata": METADATA}).active
    assert job("FailureTarget")
    assert job("Complete", "False")
    assert not job("Complete")
    assert not job("Failed")


def test_a_pod_runs_until_its_phase_is_final() -> None:
    assert not pod_seen(_pod("")).running
    assert pod_seen(_pod("", phase="Pending")).running
    assert pod_seen(_pod("", phase="Running")).owners == {"o"}


def test_a_publication_is_what_publish_reports() -> None:
    message = json.dumps({"steps": {"a": {"digest": "d"}, "b": {"digest": "e"}}, "failed": {"c": {}}})
    assert list(reports(_pod(message))) == [Publication("s", step, "pods' reports", "attempt-1") for step in ("a", "b")]
    assert list(reports(_pod(message, container="step-a"))) == []
    for text in ("", "no json", "[]", '{"error": {}}', '{"steps": 1}'):
        assert list(reports(_pod(text))) == []
