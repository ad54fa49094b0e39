"""What `kubectl describe` tells below the status of a star or a catalogue."""

from typing import Any

from plato_sas.api import StarCatalogueStatus, StarProcessingStatus
from plato_sas.controller.kube.events import Note, catalogue_notes, event_body, notes
from tests.support.catalogue import catalogue
from tests.support.samples import NOW, UID, processing


def status(state: str = "Running", *steps: dict[str, Any], **fields: Any) -> StarProcessingStatus:
    return StarProcessingStatus.model_validate({"state": state, "steps": list(steps)} | fields)


def told(old: StarProcessingStatus, new: StarProcessingStatus) -> list[tuple[str, str, str]]:
    return [(note.type, note.reason, note.message) for note in notes(old, new)]


FAILED = {"name": "a", "state": "Failed", "reason": "ModuleFailed", "exitCode": 3, "message": "no TIME column"}


def test_a_failed_step_is_told_once_with_code_and_log() -> None:
    before, after = status("Running", {"name": "a", "state": "Running"}), status("Running", FAILED)
    assert told(before, after) == [("Warning", "StepFailed", "a: ModuleFailed (exit code 3): no TIME column")]
    assert told(after, after) == []


def test_a_step_that_failed_at_the_first_look_is_told_too() -> None:
    assert told(status(), status("Running", FAILED))[0][1] == "StepFailed"


def test_each_retry_is_told() -> None:
    def retried(count: int) -> StarProcessingStatus:
        step = {"name": "a", "reason": "TemporaryFailure", "message": "later", "retries": {"Temporary": count}}
        return status("Running", step)

    assert told(status(), retried(1)) == [("Warning", "StepRetried", "a: TemporaryFailure: later")]
    assert told(retried(1), retried(2)) == [("Warning", "StepRetried", "a: TemporaryFailure: later")]
    assert told(retried(2), retried(2)) == []


def test_the_end_of_a_star_is_told_unless_it_is_the_ordinary_one() -> None:
    done = {"name": "a", "state": "Succeeded"}
    assert told(status("Running", done), status("Succeeded", done)) == []
    assert told(status(), status("Suspended")) == [("Normal", "Suspended", "requested by spec.desiredState")]
    assert told(status(), status("Cancelled")) == [("Normal", "Cancelled", "requested by spec.desiredState")]


def test_a_rejection_says_why() -> None:
    accepted = {"type": "Accepted", "status": "False", "reason": "X", "message": "spec.parameters.nope: no such step",
                "lastTransitionTime": NOW}  # fmt: skip
    assert told(status("Pending"), status("Rejected", conditions=[accepted])) == [
        ("Warning", "Rejected", "spec.parameters.nope: no such step")
    ]


def test_ordinary_progress_is_not_an_event() -> None:
    assert told(status("Pending"), status("Running", {"name": "a", "state": "Running"})) == []


def test_an_event_is_about_its_star_and_not_too_long() -> None:
    body = event_body(processing(name="s" * 200), Note("Warning", "StepFailed", "x" * 5000), NOW)
    assert body["involvedObject"]["uid"] == UID
    assert body["involvedObject"]["kind"] == "StarProcessing"
    assert len(body["message"]) <= 1024, "what the API server takes"
    assert len(body["metadata"]["generateName"]) <= 58
    assert (body["type"], body["reason"], body["firstTimestamp"]) == ("Warning", "StepFailed", NOW)


def catalogue_status(state: str, reason: str = "", **fields: Any) -> StarCatalogueStatus:
    complete = {"type": "Complete", "status": "False", "reason": reason or state, "lastTransitionTime": NOW}
    return StarCatalogueStatus.model_validate({"state": state, "conditions": [complete]} | fields)


def catalogue_told(old: StarCatalogueStatus, new: StarCatalogueStatus) -> list[tuple[str, str, str]]:
    return [(note.type, note.reason, note.message) for note in catalogue_notes(old, new)]


def test_the_end_of_a_catalogue_is_told_with_its_tables_or_its_failure() -> None:
    running = catalogue_status("Running")
    tables = [{"name": "DP3", "rows": 2}, {"name": "DP5", "rows": 1}]
    made = catalogue_status("Succeeded", "Published", tables=tables, message="problems.txt: 1 star with problems")
    told = "rows: DP3 2, DP5 1; problems.txt: 1 star with problems"
    assert catalogue_told(running, made) == [("Normal", "Succeeded", told)]
    assert catalogue_told(made, made) == []
    failed = catalogue_status("Failed", "CollectionFailed", exitCode=2, message="no folder")
    assert catalogue_told(running, failed) == [("Warning", "Failed", "CollectionFailed (exit code 2): no folder")]
    rejected = catalogue_status("Rejected", message="no such step")
    assert catalogue_told(catalogue_status("Pending"), rejected) == [("Warning", "Rejected", "no such step")]


def test_a_catalogues_retry_is_told_once_and_a_rerun_not_at_all() -> None:
    lost = {"retries": {"Infrastructure": 1}, "message": "Job j was deleted"}
    again = catalogue_status("Pending", "JobLost", **lost)
    assert catalogue_told(catalogue_status("Running"), again) == [("Warning", "Retried", "JobLost: Job j was deleted")]
    assert catalogue_told(again, catalogue_status("Running", **lost)) == []
    assert catalogue_told(again, catalogue_status("Pending", "Rerun")) == []


def test_an_event_names_the_catalogue() -> None:
    about = event_body(catalogue(), Note("Normal", "Succeeded", ""), NOW)["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("StarCatalogue", "q1-dp", "uid-1")
