"""What becomes of a star's resource that is there already."""

from typing import Any

import pytest

from plato_sas_airflow.batches.adoption import Action, RerunRequest, Verdict, assess, to_apply, to_rerun
from plato_sas_airflow.kube.resource import RERUN_ANNOTATION, Resource
from tests.plato_sas_airflow.resources import BATCH, changed, resource

WANTED = BATCH.resources()["kic1-q1"]
OTHERS = {"plato-sas.io/batch": "other"}
OTHER_WORK: dict[str, Any] = {"parameters": {"msap1": {"x": 1}}}
REQUEST = RerunRequest("b/0")
FROM = RerunRequest("b/0", ("msap3-03",))
DONE_FOR_WISH = {RERUN_ANNOTATION: "b/0"}
REFUSED_NOW = {"conditions": [{"type": "Accepted", "status": "False", "reason": "RevisionLost"}]}


def others(existing: Resource, **spec: Any) -> Resource:
    return changed(existing, labels=OTHERS, **spec)


@pytest.mark.parametrize(
    ("existing", "action"),
    [
        (None, Action.CREATE),
        (resource(state="Running"), Action.ADOPT),
        (resource(state=None, observed=None), Action.ADOPT),
        (others(resource(state="Running")), Action.ADOPT),
        (changed(resource(state="Running"), labels={}), Action.ADOPT),
        (resource(state="Succeeded"), Action.ADOPT),
        (others(resource(state="Succeeded")), Action.ADOPT),
        (resource(state="Succeeded", generation=2, observed=1), Action.ADOPT),
        (resource(state="Failed"), Action.RERUN),
        (others(resource(state="Cancelled")), Action.RERUN),
        (changed(resource(state="Running"), desiredState="Cancel"), Action.RERUN),
        (resource(state="Rejected"), Action.ADOPT),
        (others(resource(state="Rejected"), **OTHER_WORK), Action.RERUN),
        (resource(state="Running", status=REFUSED_NOW), Action.RERUN),
        (others(resource(state="Running", status=REFUSED_NOW), **OTHER_WORK), Action.REFUSE),
        (changed(resource(state="Running"), **OTHER_WORK), Action.RERUN),
        (changed(resource(state="Succeeded"), **OTHER_WORK), Action.RERUN),
        (others(resource(state="Running"), **OTHER_WORK), Action.REFUSE),
        (others(resource(state="Succeeded"), **OTHER_WORK), Action.REFUSE),
        (others(resource(state="Failed"), **OTHER_WORK), Action.REFUSE),
        (others(resource(state="Succeeded"), inputs={"X": {"path": "y"}}), Action.REFUSE),
        (others(resource(state="Succeeded"), previousCampaign="Q0"), Action.REFUSE),
        (others(resource(state="Succeeded"), priority=5, ttl="1d", stages="PerStep"), Action.ADOPT),
        (changed(resource(state="Succeeded"), pipeline="other"), Action.REFUSE),
        (changed(resource(state="Succeeded"), star="kic1"), Action.REFUSE),
    ],
)
def test_without_a_wish_only_what_is_not_done_runs(existing: Resource | None, action: Action) -> None:
    verdict = assess(existing, WANTED, BATCH)
    assert verdict.action is action
    assert bool(verdict.reason) == (action is Action.REFUSE)
    assert not verdict.transient


@pytest.mark.parametrize(
    ("existing", "asked", "rerun"),
    [
        (resource(state="Succeeded"), REQUEST, {}),
        (resource(state="Failed"), REQUEST, {}),
        (others(resource(state="Succeeded")), FROM, {"from": ["msap3-03"]}),
        (others(resource(state="Succeeded"), **OTHER_WORK), FROM, {"from": ["msap3-03"]}),
        (resource(state="Rejected"), FROM, {"from": ["msap3-03"]}),
        (resource(state="Failed"), None, {"failed": True}),
        (changed(resource(state="Failed"), annotations=DONE_FOR_WISH), REQUEST, {"failed": True}),
        (changed(resource(state="Succeeded"), **OTHER_WORK), None, {}),
    ],
)
def test_how_a_star_runs_again(existing: Resource, asked: RerunRequest | None, rerun: dict[str, Any]) -> None:
    assert assess(existing, WANTED, BATCH, asked) == Verdict(Action.RERUN, rerun)


def test_a_wish_is_granted_once_and_not_again_when_airflow_retries() -> None:
    existing = resource(state="Succeeded")
    assert assess(existing, WANTED, BATCH, REQUEST) == Verdict(Action.RERUN)
    patch = to_rerun(WANTED, existing, {}, REQUEST)
    assert patch == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/spec/rerun", "value": {"id": 1}},
        {"op": "add", "path": "/metadata/annotations/plato-sas.io~1airflow-rerun", "value": "b/0"},
    ]
    now = changed(existing, annotations=DONE_FOR_WISH, rerun={"id": 1})
    assert assess(now, WANTED, BATCH, REQUEST) == Verdict(Action.ADOPT), "it is under way"
    now["status"] = {**existing["status"], "rerun": 1}
    assert assess(now, WANTED, BATCH, REQUEST) == Verdict(Action.ADOPT)
    assert assess(now, WANTED, BATCH, RerunRequest("b/2")) == Verdict(Action.RERUN)


@pytest.mark.parametrize(("asked", "action"), [(REQUEST, Action.ADOPT), (FROM, Action.REFUSE)])
def test_another_tasks_star_that_is_under_way_is_not_disturbed(asked: RerunRequest, action: Action) -> None:
    assert assess(others(resource(state="Running")), WANTED, BATCH, asked).action is action


def test_a_resource_that_is_being_deleted_is_refused_for_now() -> None:
    dying = resource(state="Succeeded")
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    verdict = assess(dying, WANTED, BATCH)
    assert "being deleted" in verdict.reason
    assert verdict.transient


def test_a_refusal_says_whose_it_is_and_what_helps() -> None:
    assert (
        "under way for other with other parameters"
        in assess(others(resource(state="Running"), **OTHER_WORK), WANTED, BATCH).reason
    )
    reason = assess(others(resource(state="Succeeded"), **OTHER_WORK), WANTED, BATCH).reason
    assert "rerun=True" in reason


def rerun_of(existing: Resource, rerun: dict[str, Any], wanted: Resource = WANTED) -> dict[str, Any]:
    """Path to what is put there, None for what is removed."""
    patch = to_rerun(wanted, existing, rerun, None)
    assert patch[0]["op"] == "test"
    return {operation["path"]: operation.get("value") for operation in patch[1:]}


def test_a_rerun_counts_on() -> None:
    """The API server refuses a spec whose rerun has a smaller number, or is gone."""
    before = changed(resource(state="Failed", status={"rerun": 3}), rerun={"id": 3, "failed": True})
    assert rerun_of(before, {"failed": True})["/spec/rerun"] == {"id": 4, "failed": True}
    assert rerun_of(resource(state="Failed", status={"rerun": 5}), {})["/spec/rerun"] == {"id": 6}
    assert to_apply(WANTED, before, None)["spec"]["rerun"] == {"id": 3, "failed": True}


def test_a_rerun_leaves_nothing_of_the_work_before() -> None:
    before = changed(resource(state="Cancelled"), desiredState="Cancel", previousCampaign="Q0", **OTHER_WORK)
    wanted = changed(WANTED, inputs={"X": {"path": "y"}})
    found = rerun_of(before, {"from": ["msap1"]}, wanted)
    assert found == {
        "/spec/inputs": {"X": {"path": "y"}},
        "/spec/rerun": {"id": 1, "from": ["msap1"]},
        "/spec/desiredState": "Run",
        "/spec/parameters": None,
        "/spec/previousCampaign": None,
    }


def test_adoption_leaves_a_users_suspension() -> None:
    suspended = to_apply(WANTED, changed(resource(state="Suspended"), desiredState="Suspend"), None)
    assert "desiredState" not in suspended["spec"]
    assert suspended["metadata"]["resourceVersion"] == "7"
    assert to_apply(WANTED, resource(state="Running"), None)["spec"]["desiredState"] == "Run"


def test_a_new_resource_has_no_rerun_and_keeps_the_wish() -> None:
    made = to_apply(WANTED, None, FROM)
    assert "rerun" not in made["spec"]
    assert "resourceVersion" not in made["metadata"]
    assert made["metadata"]["annotations"][RERUN_ANNOTATION] == "b/0"
