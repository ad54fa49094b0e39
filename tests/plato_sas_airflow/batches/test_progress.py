"""What counts as done, failed and under way."""

import pytest

from plato_sas.api import StarState
from plato_sas_airflow.batches.progress import BatchProgress
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.status import state_at_rest
from tests.plato_sas_airflow.resources import BATCH, changed, resource

NAMES = BATCH.names()


@pytest.mark.parametrize("state", list(StarState))
def test_only_final_states_end_a_star(state: StarState) -> None:
    expected = state if state in ("Succeeded", "Failed", "Cancelled", "Rejected") else None
    assert state_at_rest(resource(state=state.value)) == expected


@pytest.mark.parametrize(
    "unfinished",
    [
        resource(),
        resource(state=None, observed=None),
        resource(state="Succeeded", observed=None),
        resource(state="Succeeded", generation=2, observed=1),
        resource(state="Archived"),
        changed(resource(state="Succeeded"), rerun={"id": 2}),
        changed(resource(state="Succeeded", status={"rerun": 1}), rerun={"id": 2, "failed": True}),
        {**resource(), "status": None},
    ],
    ids=[
        "no state",
        "no status",
        "not observed",
        "of an older spec",
        "unknown state",
        "rerun asked",
        "later rerun asked",
        "null status",
    ],
)
def test_nothing_but_an_observed_final_state_is_success(unfinished: Resource) -> None:
    progress = BatchProgress(NAMES)
    assert progress.observe(unfinished, 0.0) is None
    assert progress.result() == BatchResult(total=3, succeeded=0, failed=0, unfinished=3)


def test_a_batch_is_counted_to_its_end() -> None:
    progress = BatchProgress(NAMES)
    progress.observe(resource("KIC1", "Running"), 0.0)
    progress.observe(resource("KIC2", "Pending"), 0.0)
    assert progress.summary(0.0) == "0/3 stars: 0 done, 0 failed, 1 pending, 1 running, 1 unseen"
    progress.observe(resource("KIC1", "Succeeded"), 0.0)
    assert progress.summary(60.0) == ("1/3 stars: 1 done, 0 failed, 1 pending, 1 unseen; 60 stars/h, about 2 min left")
    progress.observe(resource("KIC2", "Succeeded"), 0.0)
    assert progress.gone("kic3-q1") is not None
    assert progress.done
    result = progress.result()
    assert (result.succeeded, result.failed, result.unfinished) == (2, 1, 0)
    assert (result.failures[0].star, result.failures[0].state) == ("KIC3", "Deleted")


def test_a_star_that_has_ended_stays_ended() -> None:
    progress = BatchProgress(NAMES)
    progress.observe(resource("KIC1", "Succeeded"), 0.0)
    assert progress.gone("kic1-q1") is None
    progress.observe(resource("KIC2", "Failed"), 0.0)
    assert progress.observe(resource("KIC2", "Succeeded"), 0.0) is None
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
    failure = BatchProgress(NAMES).observe(resource("KIC1", "Failed", status={"steps": steps}), 0.0)
    assert failure is not None
    assert failure.text() == "KIC1: Failed, step msap3-03, exit code 3, ModuleFailed\n    a\n    no flux column"


def test_a_rejected_star_says_what_its_condition_says() -> None:
    conditions = [
        {"type": "Accepted", "status": "False", "reason": "PipelineNotFound", "message": "pipeline: there is no x"}
    ]
    failure = BatchProgress(NAMES).observe(resource("KIC1", "Rejected", status={"conditions": conditions}), 0.0)
    assert failure is not None
    assert failure.text() == "KIC1: Rejected, PipelineNotFound\n    pipeline: there is no x"


def test_the_result_names_a_hundred_failures_and_counts_all() -> None:
    names = {f"s{number}-q1": f"s{number}" for number in range(250)}
    progress = BatchProgress(names)
    for name in names:
        progress.gone(name)
    result = progress.result()
    assert result.failed == 250
    assert len(result.failures) == 100
    assert result.failures_omitted == 150
    assert result.failed_fraction == 1.0
    assert BatchResult.deserialize(result.serialize()) == result


def test_a_rerun_that_was_taken_up_ends_the_star() -> None:
    again = changed(resource(state="Succeeded", status={"rerun": 2}), rerun={"id": 2})
    assert state_at_rest(again) is StarState.SUCCEEDED


def test_a_star_that_is_not_accepted_is_rejected_even_if_it_had_succeeded() -> None:
    """A rerun with parameters that do not fit: the state is still that of before."""
    refused = {"type": "Accepted", "status": "False", "reason": "SpecInvalid", "message": "parameters.x: no"}
    stale = changed(resource(state="Succeeded", status={"conditions": [refused]}), rerun={"id": 1})
    assert state_at_rest(stale) is StarState.REJECTED
    failure = BatchProgress(NAMES).observe(stale, 0.0)
    assert failure is not None
    assert failure.text() == "KIC1: Rejected, SpecInvalid\n    parameters.x: no"
    ended = resource(state="Succeeded", status={"conditions": [refused]})
    assert state_at_rest(ended) is StarState.SUCCEEDED


def test_a_rejected_star_may_heal_within_its_grace() -> None:
    progress = BatchProgress(NAMES, rejected_seconds=60)
    assert progress.observe(resource("KIC1", "Rejected"), 100.0) is not None, "it is told once"
    assert progress.observe(resource("KIC1", "Rejected"), 110.0) is None
    assert progress.next_expiry == 160.0
    progress.expire(159.0)
    assert progress.result().failed == 0
    progress.observe(resource("KIC1", "Running"), 159.5)
    assert progress.next_expiry is None
    progress.expire(1000.0)
    progress.observe(resource("KIC1", "Succeeded"), 1001.0)
    assert (progress.result().succeeded, progress.result().failed) == (1, 0)


def test_a_star_that_stays_rejected_has_failed() -> None:
    progress = BatchProgress(NAMES, rejected_seconds=60)
    progress.observe(resource("KIC1", "Rejected"), 100.0)
    progress.observe(resource("KIC2", "Rejected"), 130.0)
    progress.expire(160.0)
    assert [one.star for one in progress.failures] == ["KIC1"]
    assert progress.next_expiry == 190.0


def test_every_failure_is_kept_only_for_a_file() -> None:
    names = {f"s{number}-q1": f"s{number}" for number in range(250)}
    few, all_ = BatchProgress(names), BatchProgress(names, keep_all=True)
    for name in names:
        few.gone(name)
        all_.gone(name)
    assert (len(few.failures), len(all_.failures)) == (100, 250)
    assert few.result() == all_.result()
