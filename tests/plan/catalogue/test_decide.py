"""What to do next about a catalogue."""

from dataclasses import replace
from typing import Any

import pytest

from plato_sas.api import CatalogueState, StarCatalogue, StarCatalogueStatus
from plato_sas.jobs.catalogue import CatalogueAttempt, build_catalogue_job, catalogue_attempt
from plato_sas.jobs.stage import Site
from plato_sas.plan.catalogue.decide import Decision, DeleteJob, Observed, PipelineNow, StartRun, decide
from plato_sas.plan.catalogue.refusals import with_refusals
from plato_sas.plan.refusal import Refusal
from tests.support.catalogue import (
    IMAGE,
    REPORT,
    catalogue,
    ended_pod,
    finished_job,
    pending_pod,
    sample_graph,
    tables_with,
)
from tests.support.samples import NOW

PIPELINE = PipelineNow(sample_graph(), "sas-test-1")
SITE = Site(stager_image="stager", catalogue_image=IMAGE)
MUCH_LATER = "2030-01-01T02:00:00Z"


def observed(one: StarCatalogue, *attempts: CatalogueAttempt, **fields: Any) -> Observed:
    return Observed(one, attempts, **({"pipeline": PIPELINE, "image": IMAGE, "now": NOW, "job_ttl": 3600} | fields))


def started(decision: Decision) -> list[StartRun]:
    return [one for one in decision.actions if isinstance(one, StartRun)]


def condition(decision: Decision, kind: str) -> tuple[str, str]:
    return next((one.status, one.reason) for one in decision.status.conditions if one.type == kind)


def first(**spec: Any) -> tuple[StarCatalogue, dict[str, Any]]:
    """A catalogue whose first attempt has begun, and its Job."""
    one = catalogue(**spec)
    decision = decide(observed(one))
    (start,) = started(decision)
    return with_status(one, decision.status), build_catalogue_job(start.run, SITE)


def with_status(one: StarCatalogue, status: StarCatalogueStatus) -> StarCatalogue:
    return one.model_copy(update={"status": status})


def ended(job: dict[str, Any], **pod: Any) -> CatalogueAttempt:
    return catalogue_attempt(finished_job(job, "Failed" if pod.get("code") else "Complete"), [ended_pod(job, **pod)])


def test_a_new_catalogue_begins() -> None:
    decision = decide(observed(catalogue()))
    (start,) = started(decision)
    assert start.run.number == 1
    assert start.run.timeout_seconds == 6 * 3600
    assert start.run.owner.kind == "StarCatalogue"
    status = decision.status
    assert (status.state, status.attempt, status.job) == (CatalogueState.RUNNING, 1, start.run.job)
    assert status.observed_generation == 1
    assert condition(decision, "Accepted") == ("True", "Accepted")
    assert condition(decision, "Complete") == ("False", "Collecting")


def test_decided_again_with_its_job_it_does_nothing() -> None:
    one, job = first()
    decision = decide(observed(one, catalogue_attempt(job, [])))
    assert decision.actions == ()
    assert decision.status.state is CatalogueState.RUNNING
    again = decide(observed(with_status(one, decision.status), catalogue_attempt(job, [])))
    assert again.status == decision.status


def test_a_published_catalogue_succeeds() -> None:
    one, job = first()
    decision = decide(observed(one, ended(job, message=REPORT.to_json())))
    status = decision.status
    assert status.state is CatalogueState.SUCCEEDED
    assert condition(decision, "Complete") == ("True", "Published")
    assert status.stars is not None
    assert (status.stars.seen, status.stars.without_products, status.stars.with_problems) == (3, 1, 1)
    (table,) = status.tables
    assert (table.name, table.rows, table.left_out) == ("DP3", 2, 0)
    assert [(file.path, file.sha256) for file in table.files] == [
        ("q1/.catalogues/q1-dp/DP3.fits", "1" * 64),
        ("q1/.catalogues/q1-dp/DP3.ecsv", "2" * 64),
    ]
    assert status.message == "q1/.catalogues/q1-dp/problems.txt: 1 stars with problems"
    assert (status.started_at, status.finished_at) == (NOW, "2030-01-01T00:01:00Z")


@pytest.mark.parametrize(("code", "final"), [(2, True), (1, True), (75, False), (137, False)])
def test_a_failure_is_final_or_tried_again_by_its_class(code: int, final: bool) -> None:
    one, job = first()
    attempt = ended(job, code=code, message="catalogue: error: the reason")
    decision = decide(observed(one, attempt, now=MUCH_LATER))
    assert "the reason" in (decision.status.message or "")
    if final:
        assert decision.status.state is CatalogueState.FAILED
        assert decision.status.exit_code == code
        assert condition(decision, "Complete") == ("False", "CollectionFailed")
    else:
        assert decision.status.state is CatalogueState.PENDING
        assert list((decision.status.retries or {}).values()) == [1]
        assert (started(decision), decision.again_after) == ([], 0.0), "told before the next attempt begins"
        (start,) = started(decide(observed(with_status(one, decision.status), attempt, now=MUCH_LATER)))
        assert start.run.number == 2


def test_a_retry_waits_for_its_pause_and_tells_why() -> None:
    one, job = first()
    decision = decide(observed(one, ended(job, code=75, message="disk full"), now="2030-01-01T00:01:01Z"))
    assert started(decision) == []
    assert (decision.status.state, decision.status.message) == (CatalogueState.PENDING, "disk full")
    assert decision.again_after == 9.0
    later = decide(observed(with_status(one, decision.status), now="2030-01-01T00:01:10Z"))
    assert [start.run.number for start in started(later)] == [2]


def test_retries_come_to_an_end() -> None:
    one, job = first()
    for number in range(2, 10):
        attempt = ended(job, code=75, message="disk full")
        decision = decide(observed(one, attempt, now=MUCH_LATER))
        if decision.status.state is CatalogueState.FAILED:
            break
        decision = decide(observed(with_status(one, decision.status), attempt, now=MUCH_LATER))
        one, job = with_status(one, decision.status), build_catalogue_job(started(decision)[0].run, SITE)
        assert decision.status.attempt == number
    assert (decision.status.state, decision.status.attempt) == (CatalogueState.FAILED, 4)
    assert decision.status.message == "disk full"


def test_a_kill_for_memory_says_what_to_raise() -> None:
    one, job = first()
    pod = ended_pod(job, code=137)
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
    decision = decide(observed(one, catalogue_attempt(finished_job(job, "Failed"), [pod])))
    assert decision.status.state is CatalogueState.FAILED
    assert "spec.resources.memory" in (decision.status.message or "")


def test_a_job_deleted_by_hand_is_made_again() -> None:
    one, _ = first()
    decision = decide(observed(one))
    assert (decision.status.state, decision.status.retries) == (CatalogueState.PENDING, {"Infrastructure": 1})
    assert decision.again_after == 2.0
    later = decide(observed(with_status(one, decision.status), now=MUCH_LATER))
    assert [start.run.number for start in started(later)] == [2]


def test_a_job_created_just_before_a_crash_is_taken_in() -> None:
    _, job = first()
    decision = decide(observed(catalogue(), catalogue_attempt(job, [])))
    assert started(decision) == []
    assert (decision.status.state, decision.status.attempt) == (CatalogueState.RUNNING, 1)
    assert decision.status.job == job["metadata"]["name"]


def test_what_holds_the_pod_up_is_told() -> None:
    one, job = first()
    decision = decide(observed(one, catalogue_attempt(job, [pending_pod(job, "ErrImagePull", "no such image")])))
    assert decision.status.message == "ErrImagePull: no such image"
    assert condition(decision, "Complete") == ("False", "ErrImagePull")


@pytest.mark.parametrize(
    ("fields", "reason", "told"),
    [
        (
            {"pipeline": PipelineNow(None, "", "PipelineNotFound", ("spec.pipeline: no such",))},
            "PipelineNotFound",
            "no such",
        ),
        ({"image": None}, "NoCatalogueImage", "images.catalogue"),
    ],
)
def test_what_cannot_begin_is_rejected(fields: dict[str, Any], reason: str, told: str) -> None:
    decision = decide(observed(catalogue(), **fields))
    assert decision.actions == ()
    assert decision.status.state is CatalogueState.REJECTED
    assert told in (decision.status.message or "")
    assert condition(decision, "Accepted") == ("False", reason)
    sound = decide(observed(with_status(catalogue(), decision.status)))
    assert len(started(sound)) == 1
    assert (sound.status.message, condition(sound, "Accepted")) == (None, ("True", "Accepted"))


def test_a_rejected_column_is_named() -> None:
    decision = decide(observed(catalogue(tables=tables_with(fact="nope"))))
    assert "spec.tables[DP5].columns[x].fact: module 'fit' declares no fact 'nope'" in (decision.status.message or "")


def test_tables_that_no_environment_could_hold_are_rejected() -> None:
    columns = [{"name": f"x{i}", "step": "fit", "fact": "found", "description": "d" * 256} for i in range(64)]
    decision = decide(observed(catalogue(tables=[{"name": f"T{i}", "columns": columns} for i in range(16)])))
    assert decision.status.state is CatalogueState.REJECTED
    assert "spec.tables:" in (decision.status.message or "")


def succeeded(**spec: Any) -> tuple[StarCatalogue, CatalogueAttempt]:
    one, job = first(**spec)
    attempt = ended(job, message=REPORT.to_json())
    return with_status(one, decide(observed(one, attempt)).status), attempt


def test_a_finished_one_rests_and_its_job_goes_when_it_is_time() -> None:
    one, attempt = succeeded()
    decision = decide(observed(one, attempt, now="2030-01-01T00:11:00Z"))
    assert (decision.actions, decision.again_after) == ((), 3000.0)
    assert decision.status == one.status
    assert decide(observed(one, attempt, now=MUCH_LATER)).actions == (DeleteJob(attempt.job),)
    assert decide(observed(one, now=MUCH_LATER)).actions == (), "without its Job it is still finished"


def test_no_job_goes_before_its_outcome_is_stored() -> None:
    one, job = first()
    assert decide(observed(one, ended(job, message=REPORT.to_json()), now=MUCH_LATER)).actions == ()


def test_a_rerun_is_taken_up_once() -> None:
    one, attempt = succeeded()
    wish = one.model_copy(update={"spec": catalogue(rerun={"id": 1}).spec})
    taken = decide(observed(wish, attempt))
    assert started(taken) == []
    assert (taken.status.state, taken.status.rerun, taken.again_after) == (CatalogueState.PENDING, 1, 0.0)
    assert taken.status.tables == one.status.tables, "they are still there"
    begun = decide(observed(with_status(wish, taken.status), attempt))
    assert [start.run.number for start in started(begun)] == [2]
    (start,) = started(begun)
    running = with_status(wish, begun.status)
    job = build_catalogue_job(start.run, SITE)
    done = decide(observed(running, attempt, ended(job, message=REPORT.to_json())))
    assert (done.status.state, done.status.attempt) == (CatalogueState.SUCCEEDED, 2)
    rest = decide(observed(with_status(wish, done.status), attempt))
    assert (started(rest), rest.status) == ([], done.status)


def test_a_rerun_asked_for_while_it_runs_comes_after_it() -> None:
    one, job = first()
    wish = one.model_copy(update={"spec": catalogue(rerun={"id": 4}).spec})
    assert decide(observed(wish, catalogue_attempt(job, []))).status.state is CatalogueState.RUNNING
    done = decide(observed(wish, ended(job, message=REPORT.to_json())))
    # Never a final state for a generation that asks for more.
    assert (done.status.state, done.status.rerun) == (CatalogueState.PENDING, 4)


def test_a_rerun_mends_a_failed_one() -> None:
    one, job = first()
    attempt = ended(job, code=2, message="nothing there")
    failed = with_status(one, decide(observed(one, attempt)).status)
    wish = failed.model_copy(update={"spec": catalogue(rerun={"id": 1}).spec})
    taken = decide(observed(wish, attempt))
    assert (taken.status.message, taken.status.exit_code) == (None, None)
    assert len(started(decide(observed(with_status(wish, taken.status), attempt)))) == 1


def test_an_older_job_that_still_runs_is_removed() -> None:
    one, job = first()
    older = catalogue_attempt(job, [])
    status = one.status.model_copy(update={"attempt": 2, "job": "another"})
    newer = replace(older, observed=replace(older.observed, job="another", numbers={"catalogue": 2}))
    assert decide(observed(with_status(one, status), older, newer)).actions == (DeleteJob(older.job),)


def test_a_refused_job() -> None:
    def refused(one: StarCatalogue, message: str, permanent: bool) -> StarCatalogueStatus:
        decided = decide(observed(one)).status
        return with_refusals(one, decided, [Refusal("catalogue", message, permanent)], NOW)

    one = catalogue()
    final = refused(one, "422: the Job is invalid", True)
    assert (final.state, final.message, final.attempt) == (CatalogueState.FAILED, "422: the Job is invalid", 0)
    assert refused(one, "403: exceeded quota", False).state is CatalogueState.PENDING
    failed_before = with_status(one, one.status.model_copy(update={"exit_code": 75}))
    assert refused(failed_before, "422: the Job is invalid", True).exit_code is None


def test_without_a_refusal_the_decided_status_stays() -> None:
    one = catalogue()
    decided = decide(observed(one)).status
    assert with_refusals(one, decided, [], NOW) is decided
