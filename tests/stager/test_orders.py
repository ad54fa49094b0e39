"""Orders to publish: some steps of a stage, in its own pod or in a later one."""

import json
from itertools import pairwise

import pytest

from plato_sas.stager.description import FactDescription, OutputDescription, PublishOrder, StepDescription
from plato_sas.stager.messages import room
from plato_sas.stager.publish import publish
from tests.support.pod import Pod, digest, made_of, step, withheld


def chain(*names: str) -> list[StepDescription]:
    """Steps of one stage, each made of the one before."""
    return [step(names[0]), *(made_of(before, name) for before, name in pairwise(names))]


def test_the_steps_of_a_stage_are_published_with_what_they_were_made_of(pod: Pod) -> None:
    stage = pod.begin(*chain("a", "b", "c"))
    pod.write(stage)
    assert list(pod.publish(stage).steps) == ["a", "b", "c"]
    assert pod.visible() == ["a", "b", "c"]
    assert pod.manifest("b")["inputs"] == {
        "IN": {"volume": "products", "path": "q1/KIC1/a/OUT.h5", "sha256": digest(b"result")}
    }
    assert pod.unfinished() == []


def test_steps_are_published_in_the_order_of_their_stage_whatever_the_order_says(pod: Pod) -> None:
    stage = pod.begin(*chain("a", "b"))
    pod.write(stage)
    assert list(pod.publish(stage, "b", "a").steps) == ["a", "b"]


def test_a_withheld_step_does_not_hold_up_what_is_not_made_of_it(pod: Pod) -> None:
    stage = pod.begin(step("a"), made_of("a", "b"), step("c"), made_of("c", "d"))
    pod.write(stage, "b", "c", "d")
    published = pod.publish(stage)
    assert published.failed.keys() == {"a"}
    assert published.failed["a"].reason == "OutputMissing"
    assert published.steps.keys() == {"c", "d"}
    assert pod.visible() == ["c", "d"], "b was made of something that nobody can see"


def test_a_salvage_publishes_what_ended_well_in_an_earlier_pod(pod: Pod) -> None:
    stage = pod.begin(*chain("a", "b", "c"))
    pod.write(stage, "a", "b")
    published = pod.publish(stage, "a", "b")
    assert published.steps.keys() == {"a", "b"}
    assert pod.visible() == ["a", "b"]
    assert pod.unfinished() == ["try-1"], "step c is still there to be looked at"
    pod.begin(step("c"), attempt="try-2")
    assert pod.unfinished() == ["try-2"]


def test_the_rest_of_a_stage_can_be_published_by_a_later_order(pod: Pod) -> None:
    stage = pod.begin(*chain("a", "b"))
    pod.write(stage)
    pod.publish(stage, "a")
    assert pod.publish(stage, "b").steps.keys() == {"b"}
    assert pod.manifest("b")["inputs"]["IN"]["sha256"] == pod.manifest("a")["outputs"]["OUT"]["sha256"]
    assert pod.unfinished() == []


def test_a_step_is_not_published_without_what_it_was_made_of(pod: Pod) -> None:
    stage = pod.begin(*chain("a", "b"))
    pod.write(stage)
    problem = withheld(pod, stage._replace(steps=stage.steps[1:]), "b")
    assert problem.reason == "OutputLost"
    assert problem.message == "step b: input IN: step a made it and is not published by this attempt"


def test_what_is_gone_is_said_to_be_lost(pod: Pod) -> None:
    stage = pod.begin(*chain("a", "b"))
    pod.write(stage)
    pod.begin(step("a"), attempt="try-2")
    published = pod.publish(stage)
    assert published.steps == {}
    assert published.failed["a"].reason == "OutputLost"
    assert published.failed["a"].message == "step a: its outputs are gone from q1/KIC1/.attempts/try-1"
    nobody = publish(PublishOrder("q1", "KIC1", "never", ["a", "b"]), pod.roots)
    assert {name: one.reason for name, one in nobody.failed.items()} == {"a": "OutputLost", "b": "OutputLost"}


def test_a_step_that_was_never_of_the_attempt_is_lost_and_the_others_are_published(pod: Pod) -> None:
    stage = pod.begin(step("a"))
    pod.write(stage)
    published = pod.publish(stage, "a", "z")
    assert published.steps.keys() == {"a"}
    assert published.failed["z"].reason == "OutputLost"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stage": {}, "inputs": {}}'])
def test_without_a_whole_record_nothing_is_published(pod: Pod, text: str) -> None:
    stage = pod.begin()
    pod.write(stage)
    (pod.out(stage).parent / ".stage.json").write_text(text)
    assert withheld(pod, stage).reason == "OutputLost"


def test_asked_again_it_reports_the_same(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5"), OutputDescription("X", "x.json", optional=True)]
    stage = pod.begin(step(outputs=outputs), step("msap2"))
    pod.write(stage, facts='{"flag": false, "modes": 7, "nu_max": 2400, "quality": "quiet"}')
    first = pod.publish(stage)
    assert first.steps["msap1"].missing == ["X"]
    before = pod.manifest()
    assert pod.publish(stage) == first
    assert pod.manifest() == before


def test_another_attempts_product_is_not_reported_as_ones_own(pod: Pod) -> None:
    stage = pod.begin()
    pod.write(stage)
    pod.publish(stage)
    pod.run(attempt="try-2", parameters={"snr": 4.0})
    assert pod.publish(stage).failed["msap1"].reason == "OutputLost"


def test_an_optional_output_that_a_later_step_read_withholds_that_step(pod: Pod) -> None:
    optional = [OutputDescription("MORE", "MORE.h5"), OutputDescription("OUT", "OUT.h5", optional=True)]
    stage = pod.begin(step("a", outputs=optional), made_of("a", "b"))
    (pod.out(stage, "a") / "MORE.h5").write_bytes(b"x")
    pod.write(stage, "b")
    published = pod.publish(stage)
    assert published.steps["a"].missing == ["OUT"]
    assert published.failed["b"].reason == "InputMissing"
    assert published.failed["b"].message == "step b: input IN: step a did not write it"


# A report that is full


def talkative(name: str) -> StepDescription:
    return step(name, facts=[FactDescription(f"note_{index}", "string") for index in range(8)])


def test_what_a_report_has_no_room_for_is_left_for_another_order(pod: Pod) -> None:
    names = [f"s{index}" for index in range(8)]
    stage = pod.begin(*map(talkative, names))
    notes = {f"note_{index}": "x" * 40 for index in range(8)}
    pod.write(stage, facts=json.dumps(notes))
    for name in names:
        (pod.out(stage, name) / "not-declared").write_text("x")
    reported: dict[str, object] = {}
    orders = 0
    while rest := [name for name in names if name not in reported]:
        published = pod.publish(stage, *rest)
        assert published.steps, "every order gets a step further"
        assert published.failed == {}
        assert len(published.to_json()) <= room(stage.containers)
        reported |= published.steps
        assert pod.visible() == sorted(reported), "visible and reported are the same"
        orders += 1
    assert 1 < orders < len(names)
    for name in names:
        assert pod.manifest(name)["facts"] == notes, "facts outlive the order that had no room for them"
        assert pod.manifest(name)["undeclaredFilesRemoved"] == 1
    assert pod.unfinished() == []


def test_many_failures_do_not_overflow_the_report(pod: Pod) -> None:
    names = [f"step-{index:02d}-{'x' * 20}" for index in range(16)]
    many = [OutputDescription("OUT", "O" * 127)]
    stage = pod.begin(*(step(name, outputs=many) for name in names), attempt="a" * 63)
    published = pod.publish(stage)
    assert len(published.to_json()) <= room(stage.containers)
    assert published.failed
    assert list(published.failed) == names[: len(published.failed)]
