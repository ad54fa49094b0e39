"""Facts: small, typed, declared, and refused by name otherwise."""

import json
import os

import pytest

from plato_sas.stager.description import FactDescription, OutputDescription, Stage
from plato_sas.stager.messages import room
from tests.support.pod import Pod, step, withheld


def facts(pod: Pod, text: str | bytes) -> Stage:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    content = text if isinstance(text, bytes) else text.encode()
    (pod.out(stage) / "facts.json").write_bytes(content)
    return stage


def test_declared_facts_are_reported_with_their_types(pod: Pod) -> None:
    stage = facts(pod, '{"flag": false, "modes": 7, "nu_max": 2400, "quality": "quiet"}')
    reported = pod.publish(stage).steps["msap1"].facts
    assert reported == {"flag": False, "modes": 7, "nu_max": 2400.0, "quality": "quiet"}
    assert isinstance(reported["nu_max"], float)
    assert pod.manifest()["facts"] == reported


def test_a_fact_that_is_not_known_may_be_left_out(pod: Pod) -> None:
    stage = facts(pod, '{"flag": true}')
    assert pod.publish(stage).steps["msap1"].facts == {"flag": True}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"delta_nu": 1}', "'delta_nu' is not declared by the module (declared: flag, modes, nu_max, quality)"),
        ('{"flag": 1}', "flag must be of type boolean, not 1"),
        ('{"flag": null}', "flag must be of type boolean, not null"),
        ('{"modes": true}', "modes must be of type integer, not true"),
        ('{"modes": 7.0}', "modes must be of type integer, not 7.0"),
        ('{"modes": 9223372036854775808}', "modes does not fit into 64 bits"),
        ('{"nu_max": true}', "nu_max must be of type number, not true"),
        ('{"nu_max": "high"}', 'nu_max must be of type number, not "high"'),
        ('{"nu_max": NaN}', "nu_max is not a finite number"),
        ('{"nu_max": -Infinity}', "nu_max is not a finite number"),
        ('{"nu_max": 1e999}', "nu_max is not a finite number"),
        ('{"nu_max": 1' + "0" * 400 + "}", "nu_max does not fit into 64 bits"),
        ('{"quality": 3}', "quality must be of type string, not 3"),
        ('{"quality": "' + "x" * 129 + '"}', "quality is longer than 128 characters"),
        ('{"quality": {"a": 1}}', "quality must be of type string, not an object"),
        ('{"quality": ' + "[" * 900 + "]" * 900 + "}", "quality must be of type string, not a list"),
        ('{"flag": true,\n "quality": "\\ud83d"}', "line 2: quality contains '\\ud83d', which cannot be shown as text"),
        ('{"quality": "a\\u001b[31m"}', "line 1: quality contains '\\x1b', which cannot be shown as text"),
        ('{"quality": "\\u202eabc"}', "line 1: quality contains '\\u202e', which cannot be shown as text"),
        ("[1]", "must be one JSON object"),
        ("7", "must be one JSON object"),
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 60_000, "is nested too deeply to be read"),
        (b'{"quality": "\xff"}', "is not JSON"),
        (" " * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_facts_that_break_the_declaration_are_refused_by_name(pod: Pod, text: str | bytes, told: str) -> None:
    problem = withheld(pod, facts(pod, text))
    assert problem.reason == "FactsInvalid"
    assert told in problem.message
    assert "facts.json" in problem.message
    assert problem.message.startswith("step msap1: ")


@pytest.mark.timeout(20)
def test_facts_are_read_from_a_regular_file_only(pod: Pod) -> None:
    stage = pod.begin()
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    os.mkfifo(pod.out(stage) / "facts.json")
    assert withheld(pod, stage).reason == "FactsInvalid"
    (pod.out(stage) / "facts.json").unlink()
    (pod.out(stage) / "facts.json").symlink_to(pod.light_curve)
    assert withheld(pod, stage).reason == "FactsInvalid"


def test_facts_too_large_for_the_report_are_refused_before_anything_is_visible(pod: Pod) -> None:
    names = [f"note_{index:02d}" for index in range(16)]
    stage = pod.begin(step(facts=[FactDescription(name, "string") for name in names]))
    (pod.out(stage) / "OUT.h5").write_bytes(b"r")
    (pod.out(stage) / "facts.json").write_text(json.dumps(dict.fromkeys(names, "\u03bd" * 128)))
    problem = withheld(pod, stage)
    assert problem.reason == "FactsInvalid"
    assert "too large" in problem.message


def test_a_fact_with_an_absurd_name_still_gives_a_readable_report(pod: Pod) -> None:
    stage = facts(pod, json.dumps({"\N{GRINNING FACE}" * 5000: 1}))
    published = pod.publish(stage)
    assert len(published.to_json()) <= room(1)
    assert published.failed["msap1"].reason == "FactsInvalid"


def test_facts_that_are_a_declared_output_as_well_are_published(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5"), OutputDescription("FACTS", "facts.json")]
    stage = pod.begin(step(outputs=outputs))
    pod.write(stage, facts='{"modes": 7}')
    assert pod.publish(stage).steps["msap1"].facts == {"modes": 7}
    assert (pod.product() / "facts.json").read_text() == '{"modes": 7}'
