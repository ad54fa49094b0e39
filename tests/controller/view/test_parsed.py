"""Models of stars: never older than what is stored, and not without end."""

from typing import Any

import pytest
from pydantic import ValidationError

from plato_sas.api import DesiredState, StarProcessing, StarState
from plato_sas.controller.view.parsed import ParsedStars
from tests.support.samples import processing


def stored(name: str = "a", version: str = "1", state: str = "Running") -> dict[str, Any]:
    document = processing(name=name).to_dict()
    document["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": version}
    document["status"] = {"state": state}
    return document


def model(stars: ParsedStars, document: dict[str, Any]) -> StarProcessing:
    """Of a star without problems."""
    found, problems = stars.of(document)
    assert problems == ()
    return found


def test_a_version_is_read_once() -> None:
    stars = ParsedStars()
    first = model(stars, stored())
    assert model(stars, stored()) is first
    changed = model(stars, stored(version="2", state="Failed"))
    assert changed.status.state is StarState.FAILED


def test_what_was_written_is_not_read_again() -> None:
    stars = ParsedStars()
    before = model(stars, stored(state="Pending"))
    status = before.status.model_copy(update={"state": StarState.RUNNING})
    stars.written(before, status, stored(version="7", state="Running"))
    found = model(stars, stored(version="7", state="Running"))
    assert found.status is status
    assert found.metadata.resource_version == "7"
    assert found == model(ParsedStars(), stored(version="7", state="Running"))


def test_a_star_of_the_same_name_is_another_one() -> None:
    stars = ParsedStars()
    old, new = stored(), stored(state="Running")
    new["metadata"]["uid"] = "other"
    assert model(stars, old) is not model(stars, new)


def test_only_the_latest_are_remembered() -> None:
    stars = ParsedStars(remembered=2)
    a, b = model(stars, stored("a")), model(stars, stored("b"))
    assert model(stars, stored("a")) is a
    model(stars, stored("c"))
    assert model(stars, stored("a")) is a
    assert model(stars, stored("b")) is not b


def test_a_star_that_waits_or_rests_takes_no_room() -> None:
    stars = ParsedStars(remembered=2)
    a, b = model(stars, stored("a")), model(stars, stored("b"))
    for state in ("Pending", "Suspended", "Succeeded"):
        model(stars, stored("c", state=state))
    assert (model(stars, stored("a")), model(stars, stored("b"))) == (a, b)
    before = model(stars, stored("a"))
    assert before is a
    status = before.status.model_copy(update={"state": StarState.SUCCEEDED})
    stars.written(before, status, stored("a", version="2", state="Succeeded"))
    assert model(stars, stored("a", version="2", state="Succeeded")).status is not status


def test_a_spec_that_is_not_of_the_schema_is_read_without_it_and_told() -> None:
    wrong = stored()
    wrong["spec"] |= {"nope": 1, "parameters": {"One Step": {"sigma": 3}}, "desiredState": "Cancel"}
    found, problems = ParsedStars().of(wrong)
    assert found.spec.desired_state is DesiredState.CANCEL
    assert found.spec.parameters == {}
    assert [one.partition(":")[0] for one in problems] == ["spec.parameters.One Step.[key]", "spec.nope"]


def test_a_status_that_is_not_of_the_schema_is_refused_each_time() -> None:
    stars = ParsedStars()
    wrong = stored(state="Nope")
    for _ in range(2):
        with pytest.raises(ValidationError, match="Nope"):
            stars.of(wrong)
