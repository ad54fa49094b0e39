"""Jobs and pods of a stage with the steps a and b, as the API server shows them."""

from typing import Any

from plato_sas.api import Document
from plato_sas.jobs.builder import build_job
from plato_sas.jobs.stage import SalvageRun, Site
from plato_sas.stager.messages import Published, PublishedStep, StagedIn
from tests.support.samples import NOW, graph
from tests.support.simulator import World

LATER = "2030-01-01T00:01:00Z"

_WORLD = World(graph({"a": [], "b": ["a"]}))
_WORLD.decide()
JOB = build_job(_WORLD.job_of("a").run, Site(stager_image="stager"))
_WORLD.end_step("a")
_WORLD.job_of("a").kill("Evicted")
_WORLD.decide()
_SALVAGE = _WORLD.job_of("a").run
assert isinstance(_SALVAGE, SalvageRun)
SALVAGE = build_job(_SALVAGE, Site(stager_image="stager"))

STAGED = StagedIn({"DP1_LC_MERGED": "1" * 64}).to_json()
REPORT = {"a": PublishedStep("2" * 64, {"flag": True}, ["EXTRA"]), "b": PublishedStep("3" * 64)}
PUBLISHED = Published(REPORT, {}).to_json()


def job(condition: str | None = None, template: Document = JOB, **extra: Any) -> Document:
    status: Document = {"startTime": NOW}
    if condition == "Complete":
        status["completionTime"] = LATER
    if condition:
        status["conditions"] = [
            {"type": "SuccessCriteriaMet", "status": "True"},
            {"type": condition, "status": "True", "lastTransitionTime": LATER},
        ]
    return {"metadata": template["metadata"], "spec": template["spec"], "status": status} | extra


def ended(name: str, code: int = 0, message: str = "", reason: str | None = None, at: str = LATER) -> Document:
    why = reason or ("Completed" if code == 0 else "Error")
    times = {"startedAt": NOW, "finishedAt": at}
    return {"name": name, "state": {"terminated": {"exitCode": code, "message": message, "reason": why, **times}}}


def running(name: str) -> Document:
    return {"name": name, "state": {"running": {"startedAt": NOW}}}


def held_up(name: str, reason: str, message: str = "") -> Document:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


def pod(
    *statuses: Document,
    phase: str = "Failed",
    created: str = NOW,
    metadata: Document | None = None,
    spec: Document | None = None,
    **status: Any,
) -> Document:
    main = [one for one in statuses if one["name"] == "publish"]
    return {
        "metadata": {"name": "pod", "creationTimestamp": created, **(metadata or {})},
        "spec": {"activeDeadlineSeconds": 1800, **(spec or {})},
        "status": {
            "phase": phase,
            "startTime": NOW,
            "initContainerStatuses": [one for one in statuses if one["name"] != "publish"],
            "containerStatuses": main or [held_up("publish", "PodInitializing")],
        }
        | status,
    }
