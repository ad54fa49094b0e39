"""Models of stars: never older than what is stored, and not without end."""

from typing import Any

import pytest
from pydantic import ValidationError

from plato_sas.api import StarState
from plato_sas.controller.view.parsed import ParsedStars
from tests.support.samples import processing


def stored(name: str = "a", version: str = "1", state: str = "Running") -> dict[str, Any]:
    document = processing(name=name).to_dict()
    document["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": version}
    document["status"] = {"state": state}
    return document


def test_a_version_is_read_once() -> None:
    stars = ParsedStars()
    first = stars.of(stored())
    assert stars.of(stored()) is first
    changed = stars.of(stored(version="2", state="Failed"))
    assert changed.status.state is StarState.FAILED


def test_what_was_written_is_not_read_again() -> None:
    stars = ParsedStars()
    before = stars.of(stored(state="Pending"))
    status = before.status.model_copy(update={"state": StarState.RUNNING})
    stars.written(before, status, stored(version="7", state="Running"))
    model = stars.of(stored(version="7", state="Running"))
    assert model.status is status
    assert model.metadata.resource_version == "7"
    assert model == ParsedStars().of(stored(version="7", state="Running"))


def test_a_star_of_the_same_name_is_another_one() -> None:
    stars = ParsedStars()
    old, new = stored(), stored(state="Running")
    new["metadata"]["uid"] = "other"
    assert stars.of(old) is not stars.of(new)


def test_only_the_latest_are_remembered() -> None:
    stars = ParsedStars(remembered=2)
    a, b = stars.of(stored("a")), stars.of(stored("b"))
    assert stars.of(stored("a")) is a
    stars.of(stored("c"))
    assert stars.of(stored("a")) is a
    assert stars.of(stored("b")) is not b


def test_a_star_that_waits_or_rests_takes_no_room() -> None:
    stars = ParsedStars(remembered=2)
    a, b = stars.of(stored("a")), stars.of(stored("b"))
    for state in ("Pending", "Suspended", "Succeeded"):
        stars.of(stored("c", state=state))
    assert (stars.of(stored("a")), stars.of(stored("b"))) == (a, b)
    before = stars.of(stored("a"))
    assert before is a
    status = before.status.model_copy(update={"state": StarState.SUCCEEDED})
    stars.written(before, status, stored("a", version="2", state="Succeeded"))
    assert stars.of(stored("a", version="2", state="Succeeded")).status is not status


def test_what_is_not_of_the_schema_is_refused_each_time() -> None:
    stars = ParsedStars()
    wrong = stored()
    wrong["spec"]["nope"] = 1
    for _ in range(2):
        with pytest.raises(ValidationError, match="nope"):
            stars.of(wrong)
