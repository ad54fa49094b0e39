"""What counts as done, failed and under way."""

from typing import Any

import pytest

from plato_sas.api import StarState
from plato_sas_airflow.adoption import Action, adopted, assess
from plato_sas_airflow.batch import Batch, Resource
from plato_sas_airflow.progress import BatchProgress, BatchResult, finished_state

BATCH = Batch(id="b", namespace="plato", campaign="Q1", pipeline="sas-demo", stars=["KIC1", "KIC2", "KIC3"])
NAMES = BATCH.names()


def resource(
    star: str = "KIC1", state: str | None = None, generation: int = 1, observed: int | None = 1, **rest: Any
) -> Resource:
    """A resource of the batch as the API server would give it."""
    made = BATCH.resources()[f"{star.lower()}-q1"]
    metadata = {**made["metadata"], "generation": generation, "resourceVersion": "7", "uid": "u"}
    status = {**rest.pop("status", {})}
    if state is not None:
        status["state"] = state
    if observed is not None:
        status["observedGeneration"] = observed
    return {**made, "metadata": metadata, "status": status, **rest}


@pytest.mark.parametrize("state", list(StarState))
def test_only_final_states_end_a_star(state: StarState) -> None:
    expected = state if state in ("Succeeded", "Failed", "Cancelled", "Rejected") else None
    assert finished_state(resource(state=state.value)) == expected


@pytest.mark.parametrize(
    "unfinished",
    [
        resource(),
        resource(state=None, observed=None),
        resource(state="Succeeded", observed=None),
        resource(state="Succeeded", generation=2, observed=1),
        resource(state="Archived"),
        {**resource(), "status": None},
    ],
    ids=["no state", "no status", "not observed", "of an older spec", "unknown state", "null status"],
)
def test_nothing_but_an_observed_final_state_is_success(unfinished: Resource) -> None:
    progress = BatchProgress(NAMES)
    assert progress.observe(unfinished) is None
    assert progress.result() == BatchResult(total=3, succeeded=0, failed=0, unfinished=3)


def test_a_batch_is_counted_to_its_end() -> None:
    progress = BatchProgress(NAMES)
    progress.observe(resource("KIC1", "Running"))
    progress.observe(resource("KIC2", "Pending"))
    assert progress.summary(0.0) == "0/3 stars: 0 done, 0 failed, 1 pending, 1 running, 1 unseen"
    progress.observe(resource("KIC1", "Succeeded"))
    assert progress.summary(60.0) == ("1/3 stars: 1 done, 0 failed, 1 pending, 1 unseen; 60 stars/h, about 2 min left")
    progress.observe(resource("KIC2", "Succeeded"))
    assert progress.gone("kic3-q1") is not None
    assert progress.done
    result = progress.result()
    assert (result.succeeded, result.failed, result.unfinished) == (2, 1, 0)
    assert (result.failures[0].star, result.failures[0].state) == ("KIC3", "Deleted")


def test_a_star_that_has_ended_stays_ended() -> None:
    progress = BatchProgress(NAMES)
    progress.observe(resource("KIC1", "Succeeded"))
    assert progress.gone("kic1-q1") is None
    progress.observe(resource("KIC2", "Failed"))
    assert progress.observe(resource("KIC2", "Succeeded")) is None
    assert (progress.result().succeeded, progress.result().failed) == (1, 1)


def test_a_failure_says_step_exit_code_and_last_lines() -> None:
    steps = [
        {"name": "msap1", "state": "Succeeded"},
        {
            "name": "msap3-03",
            "state": "Failed",
            "exitCode": 3,
            "reason": "ModuleFailed",
            "message": "a\nno flux column",
        },
        {"name": "msap5-34", "state": "Skipped"},
    ]
    failure = BatchProgress(NAMES).observe(resource("KIC1", "Failed", status={"steps": steps}))
    assert failure is not None
    assert failure.text() == "KIC1: Failed, step msap3-03, exit code 3, ModuleFailed\n    a\n    no flux column"


def test_a_rejected_star_says_what_its_condition_says() -> None:
    conditions = [{"type": "Complete", "status": "False", "reason": "Rejected", "message": "pipeline: there is no x"}]
    failure = BatchProgress(NAMES).observe(resource("KIC1", "Rejected", status={"conditions": conditions}))
    assert failure is not None
    assert failure.text() == "KIC1: Rejected, Rejected\n    pipeline: there is no x"


def test_the_result_names_a_hundred_failures_and_counts_all() -> None:
    names = {f"s{number}-q1": f"s{number}" for number in range(250)}
    progress = BatchProgress(names)
    for name in names:
        progress.gone(name)
    result = progress.result()
    assert result.failed == 250
    assert len(result.failures) == 100
    assert BatchResult.deserialize(result.serialize()) == result


OTHER = {"plato-sas.io/batch": "other"}


def changed(existing: Resource, labels: dict[str, str] | None = None, **spec: Any) -> Resource:
    metadata = {**existing["metadata"], "labels": labels if labels is not None else existing["metadata"]["labels"]}
    return {**existing, "metadata": metadata, "spec": {**existing["spec"], **spec}}


@pytest.mark.parametrize(
    ("existing", "action"),
    [
        (None, Action.CREATE),
        (resource(state="Running"), Action.ADOPT),
        (changed(resource(state="Running"), labels=OTHER), Action.ADOPT),
        (changed(resource(state="Running"), labels={}), Action.ADOPT),
        (resource(state="Succeeded"), Action.ADOPT),
        (resource(state="Succeeded", generation=2, observed=1), Action.ADOPT),
        (resource(state="Failed"), Action.REPLACE),
        (resource(state="Cancelled"), Action.REPLACE),
        (resource(state="Rejected"), Action.REPLACE),
        (changed(resource(state="Running"), desiredState="Cancel"), Action.REPLACE),
        (changed(resource(state="Succeeded"), parameters={"msap1": {"x": 1}}), Action.REPLACE),
        (changed(resource(state="Running"), parameters={"msap1": {"x": 1}}), Action.REPLACE),
        (changed(resource(state="Running"), labels=OTHER, parameters={"msap1": {"x": 1}}), Action.REFUSE),
        (changed(resource(state="Succeeded"), pipeline="other"), Action.REFUSE),
        (changed(resource(state="Succeeded"), star="kic1"), Action.REFUSE),
    ],
)
def test_what_becomes_of_an_existing_resource(existing: Resource | None, action: Action) -> None:
    wanted = BATCH.resources()["kic1-q1"]
    verdict = assess(existing, wanted, BATCH)
    assert verdict.action is action
    assert bool(verdict.reason) == (action is Action.REFUSE)


def test_a_resource_that_is_being_deleted_is_refused() -> None:
    dying = resource(state="Succeeded")
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert "being deleted" in assess(dying, BATCH.resources()["kic1-q1"], BATCH).reason


def test_adoption_leaves_a_users_suspension() -> None:
    wanted = BATCH.resources()["kic1-q1"]
    suspended = adopted(changed(resource(state="Suspended"), desiredState="Suspend"), wanted)
    assert "desiredState" not in suspended["spec"]
    assert suspended["metadata"]["resourceVersion"] == "7"
    assert adopted(resource(state="Running"), wanted)["spec"]["desiredState"] == "Run"
