"""Reuse: a step whose key equals a published product's does not run again."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from plato_sas.stager.description import FactDescription, InputDescription, OutputDescription
from plato_sas.stager.manifest import step_key
from plato_sas.stager.messages import StagedIn, room
from tests.support.pod import LIGHT_CURVE, Pod, digest, made_of, reading, step

TAGGED = "registry/m:1.2.3"


def reused(pod: Pod, *steps: Any, attempt: str = "again", **fields: Any) -> set[str]:
    return set(pod.stage_in(*steps, attempt=attempt, **fields).reused)


# What decides a key


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "registry/m@sha256:" + "e" * 64},
        {"command": ["run"]},
        {"args": []},
        {"parameters": {"snr": 3.5}},
        {"parameters": {}},
        {"seed": 43},
    ],
)
def test_a_change_of_what_makes_a_product_makes_another_key(changed: dict[str, Any]) -> None:
    assert step_key(step(**changed), {"DP1": "0" * 64}) != step_key(step(), {"DP1": "0" * 64})


def test_an_inputs_content_its_name_and_its_absence_make_another_key() -> None:
    keys = [step_key(step(), one) for one in ({"A": "0" * 64}, {"A": "1" * 64}, {"B": "0" * 64}, {})]
    assert len(set(keys)) == 4


def test_what_does_not_make_a_product_makes_no_other_key() -> None:
    same = step(attempt=7, version="2", module="renamed", image="mirror/m@sha256:" + "d" * 64, forced=3)
    assert step_key(same, {}) == step_key(step(), {})


def test_the_manifest_holds_the_key(pod: Pod) -> None:
    pod.run()
    assert pod.manifest()["key"] == step_key(step(), {"DP1": digest(LIGHT_CURVE)})


# Within a campaign


def test_a_published_step_of_the_same_key_is_reported_as_it_was_and_nothing_begins(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5"), OutputDescription("X", "x.json", optional=True)]
    made = pod.run(outputs=outputs, facts='{"flag": false, "nu_max": 2400}')
    before = pod.manifest()
    staged = pod.stage_in(step(outputs=outputs, attempt=2), attempt="again", processing="another star's resource")
    assert staged == StagedIn({"DP1": digest(LIGHT_CURVE)}, {"msap1": made._replace(job="try-1")})
    assert made.facts == {"flag": False, "nu_max": 2400.0}
    assert made.missing == ["X"]
    assert pod.manifest() == before
    assert pod.unfinished() == []


def test_one_changed_parameter_reruns_the_steps_downstream_of_it_alone(pod: Pod) -> None:
    stage = pod.begin(step("a"), made_of("a", "b"), step("c"))
    for name in "abc":
        pod.write(stage, name, content=name.encode())
    pod.publish(stage)
    assert reused(pod, step("a"), made_of("a", "b"), step("c")) == {"a", "b", "c"}
    changed = step("a", parameters={"snr": 9.0})
    assert reused(pod, changed, made_of("a", "b"), step("c")) == {"c"}


def test_a_step_that_makes_the_same_again_stops_the_rerun(pod: Pod) -> None:
    stage = pod.begin(step(), made_of("msap1", "msap2"))
    pod.write(stage)
    pod.publish(stage)
    pod.run(parameters={"snr": 9.0}, attempt="try-2")
    assert reused(pod, reading()) == {"msap2"}, "its input has another origin and the same content"


def test_another_content_of_an_input_is_not_reused(pod: Pod) -> None:
    pod.run()
    pod.light_curve.write_bytes(b"flux of a loud star")
    assert reused(pod) == set()


def test_an_optional_input_that_has_come_is_not_overlooked(pod: Pod) -> None:
    inputs = [*step().inputs, InputDescription("AUX", "inputs", "q1/KIC1/aux.h5", optional=True, late=True)]
    pod.run(inputs=inputs)
    assert reused(pod, step(inputs=inputs)) == {"msap1"}
    (pod.light_curve.parent / "aux.h5").write_bytes(b"x")
    assert reused(pod, step(inputs=inputs)) == set()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"resul", "shorter"), (b"tluser", "altered"), (None, "gone")],
)
def test_a_product_that_is_not_as_it_was_published_is_made_again(pod: Pod, content: bytes | None, told: str) -> None:
    pod.run()
    product = pod.product() / "OUT.h5"
    product.unlink()
    if content is not None:
        product.write_bytes(content)
    assert reused(pod) == set(), told


def test_a_product_that_is_a_link_is_made_again(pod: Pod) -> None:
    pod.run()
    product = pod.product() / "OUT.h5"
    product.rename(pod.root / "elsewhere")
    product.symlink_to(pod.root / "elsewhere")
    assert reused(pod) == set()


def test_an_output_that_the_module_has_now_and_had_not_then_is_made(pod: Pod) -> None:
    pod.run()
    more = OutputDescription("MORE", "MORE.h5", optional=True)
    assert reused(pod, step(outputs=[*step().outputs, more])) == set()
    assert reused(pod, step(outputs=[OutputDescription("OUT", "OUT.fits")])) == set()


def test_an_output_that_may_be_missing_no_longer_is_made(pod: Pod) -> None:
    outputs = [OutputDescription("OUT", "OUT.h5"), OutputDescription("X", "x.json", optional=True)]
    pod.run(outputs=outputs)
    assert reused(pod, step(outputs=outputs)) == {"msap1"}
    assert reused(pod, step(outputs=[outputs[0], outputs[1]._replace(optional=False)])) == set()


# What only this star may take: tags and forced reruns


def test_a_tag_is_good_for_the_star_that_used_it_and_for_nobody_else(pod: Pod) -> None:
    pod.run(image=TAGGED, processing="mine")
    assert reused(pod, step(image=TAGGED), processing="mine") == {"msap1"}
    assert reused(pod, step(image=TAGGED), processing="another") == set()


def test_a_tag_is_good_for_one_campaign(pod: Pod) -> None:
    pod.run(image=TAGGED, processing="mine")
    assert reused(pod, step(image=TAGGED), processing="mine", campaign="q2") == set()


def test_a_forced_step_runs_once_for_each_rerun(pod: Pod) -> None:
    pod.run()
    assert reused(pod, step(forced=1), rerun=1) == set()
    pod.run(b"again", forced=1, rerun=1, attempt="try-2")
    assert reused(pod, step(forced=1), rerun=1) == {"msap1"}, "its Job was lost, not its product"
    assert reused(pod, step(forced=1), rerun=1, processing="another") == set()
    assert reused(pod, step(forced=2), rerun=2) == set()


def test_a_forced_step_does_not_take_another_campaigns_product(pod: Pod) -> None:
    pod.run(forced=1, rerun=1)
    assert reused(pod, step(forced=1), rerun=1, campaign="q2") == set()


def test_what_is_downstream_of_a_forced_step_waits_for_it(pod: Pod) -> None:
    stage = pod.begin(step(), made_of("msap1", "msap2"))
    pod.write(stage)
    pod.publish(stage)
    assert reused(pod, step(forced=1), made_of("msap1", "msap2"), rerun=1) == set()


# From another campaign


def test_another_campaigns_product_is_the_same_file_under_a_manifest_of_its_own(pod: Pod) -> None:
    made = pod.run(facts='{"modes": 7}', processing="old", rerun=4)
    staged = pod.stage_in(attempt="new-1", campaign="q2", processing="new", rerun=1)
    assert staged.reused == {"msap1": made._replace(job="try-1")}
    old, new = pod.product() / "OUT.h5", pod.product(campaign="q2") / "OUT.h5"
    assert old.samefile(new)
    assert pod.visible("q2") == ["msap1"]
    assert pod.unfinished("q2") == []
    first, second = pod.manifest(), pod.manifest(campaign="q2")
    assert second["reusedFrom"] == {name: first[name] for name in ("campaign", "attemptId", "publishedAt")}
    mine = ("campaign", "attemptId", "processing", "rerun")
    assert [second[name] for name in mine] == ["q2", "new-1", "new", 1]
    others = first.keys() - {*mine, "publishedAt"}
    assert {name: second[name] for name in others} == {name: first[name] for name in others}
    assert pod.stage_in(attempt="new-2", campaign="q2").reused == {"msap1": made._replace(job="try-1")}, (
        "as good as any other"
    )


def test_a_whole_stage_is_taken_from_another_campaign(pod: Pod) -> None:
    stage = pod.begin(step(), made_of("msap1", "msap2"))
    pod.write(stage)
    pod.publish(stage)
    assert reused(pod, step(), made_of("msap1", "msap2"), campaign="q2") == {"msap1", "msap2"}
    assert pod.visible("q2") == ["msap1", "msap2"]


def test_another_campaigns_product_replaces_an_older_one(pod: Pod) -> None:
    pod.run(b"other", parameters={"snr": 9.0}, campaign="q2", attempt="old")
    pod.run(b"result")
    assert reused(pod, campaign="q2") == {"msap1"}
    assert (pod.product(campaign="q2") / "OUT.h5").read_bytes() == b"result"
    assert pod.unfinished("q2") == []


def test_the_latest_campaign_is_asked_first(pod: Pod) -> None:
    pod.run()
    for campaign in ("q3", "q2"):
        assert reused(pod, campaign=campaign) == {"msap1"}
    assert reused(pod, campaign="q9") == {"msap1"}
    assert pod.manifest(campaign="q9")["reusedFrom"]["campaign"] == "q3"


@pytest.mark.parametrize("code", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP])
def test_where_there_are_no_hard_links_it_is_a_copy(pod: Pod, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    pod.run()

    def no_link(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_link)
    assert reused(pod, campaign="q2") == {"msap1"}
    old, new = pod.product() / "OUT.h5", pod.product(campaign="q2") / "OUT.h5"
    assert not old.samefile(new)
    assert new.read_bytes() == b"result"
    assert new.stat().st_mode & 0o777 == 0o444


def test_a_volume_without_room_for_a_copy_fails_the_attempt(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    pod.run()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", full)
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            pod.stage_in(campaign="q2")
    assert pod.visible("q2") == []
    assert reused(pod, campaign="q2") == {"msap1"}


def test_what_else_lies_in_the_products_volume_is_no_campaign(pod: Pod) -> None:
    pod.run()
    products = pod.roots.products
    (products / "README").write_text("x")
    (products / "lost+found").mkdir(mode=0)
    (products / ".archive").mkdir()
    (products / "latest").symlink_to("q1")
    (products / "round").symlink_to("round")
    assert reused(pod, campaign="q2") == {"msap1"}
    assert pod.manifest(campaign="q2")["reusedFrom"]["campaign"] == "q1"


# Manifests that reuse must live with


def malformed() -> dict[str, Any]:
    return {
        "no outputs": {"outputs": None},
        "outputs are a list": {"outputs": []},
        "an output is a text": {"outputs": {"OUT": "OUT.h5"}},
        "an output without a size": {"outputs": {"OUT": {"path": "OUT.h5", "sha256": digest(b"result")}}},
        "an output's path is a number": {"outputs": {"OUT": {"path": 3, "size": 6, "sha256": digest(b"result")}}},
        "an output's path leads out": {
            "outputs": {"OUT": {"path": "../msap1/OUT.h5", "size": 6, "sha256": digest(b"result")}}
        },
        "an output's path is no path": {"outputs": {"OUT": {"path": "\0", "size": 6, "sha256": "0"}}},
        "an output's path is no text": {"outputs": {"OUT": {"path": "\ud800", "size": 6, "sha256": "0"}}},
        "an output's path is endless": {"outputs": {"OUT": {"path": "x" * 9000, "size": 6, "sha256": "0"}}},
        "facts are a list": {"facts": []},
        "no digest": {"digest": None},
        "missing is a text": {"missing": "X"},
        "missing holds numbers": {"missing": [3]},
        "another schema": {"schema": "plato-sas.io/manifest/v2"},
        "no schema": {"schema": None},
        "no key": {"key": None},
        "the key is an object": {"key": {}},
    }


@pytest.mark.parametrize("told", malformed())
@pytest.mark.parametrize("campaign", ["q1", "q2"])
def test_a_manifest_of_unknown_shape_is_not_reusable(pod: Pod, told: str, campaign: str) -> None:
    pod.run()
    changed = {**pod.manifest(), **malformed()[told]}
    (pod.product() / "manifest.json").write_text(json.dumps(changed))
    assert reused(pod, campaign=campaign) == set()


def plant_text(text: bytes) -> Any:
    return lambda path: path.write_bytes(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "plant",
    [
        plant_text(b""),
        plant_text(b"{"),
        plant_text(b"[]"),
        plant_text(b"7"),
        plant_text(b"\xff"),
        plant_text(b"[" * 100_000),
        plant_text(b'{"schema": ' + b"1" * 10_000),
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to("manifest.json"),
    ],
)
@pytest.mark.parametrize("campaign", ["q1", "q2"])
def test_what_is_no_manifest_is_not_reusable(pod: Pod, plant: Any, campaign: str) -> None:
    pod.run()
    (pod.product() / "manifest.json").unlink()
    plant(pod.product() / "manifest.json")
    assert reused(pod, campaign=campaign) == set()


def test_a_missing_field_that_only_says_where_from_does_not_matter(pod: Pod) -> None:
    pod.run()
    wanted = {name: one for name, one in pod.manifest().items() if name not in ("publishedAt", "attemptId", "campaign")}
    (pod.product() / "manifest.json").write_text(json.dumps(wanted))
    assert reused(pod, campaign="q2") == {"msap1"}


def test_a_reused_step_without_the_output_that_another_needs_does_not_stand_in_for_its_producer(pod: Pod) -> None:
    outputs = [OutputDescription("MORE", "MORE.h5"), OutputDescription("OUT", "OUT.h5", optional=True)]
    stage = pod.begin(step(outputs=outputs))
    (pod.out(stage) / "MORE.h5").write_bytes(b"x")
    pod.publish(stage)
    assert reused(pod, step(outputs=outputs), made_of("msap1", "msap2")) == {"msap1"}


# A report that is full


def test_as_many_steps_are_reused_at_once_as_a_report_holds(pod: Pod) -> None:
    many = [FactDescription(f"note_{index}", "string") for index in range(8)]
    steps = [step(f"s{index}", facts=many) for index in range(8)]
    text = json.dumps({one.name: "x" * 100 for one in many})
    for one in steps:
        stage = pod.begin(one, attempt=f"made-{one.name}")
        pod.write(stage, facts=text)
        pod.publish(stage)
    rest, rounds = steps, 0
    while rest:
        staged = pod.stage_in(*rest, attempt=f"round-{rounds}", campaign="q2")
        assert len(staged.fitted(room(len(rest) + 2)).to_json()) <= room(len(rest) + 2)
        assert staged.reused, "every round gets a step further"
        assert pod.visible("q2") == sorted(set(pod.visible("q2")) | set(staged.reused))
        rest = [one for one in rest if one.name not in staged.reused]
        rounds += 1
    assert 1 < rounds < len(steps)


def test_many_inputs_leave_room_for_a_reused_step(pod: Pod) -> None:
    many = [InputDescription(f"DP1_{'X' * 30}_{index:02d}", "inputs", "q1/KIC1/lc.h5") for index in range(30)]
    text = json.dumps({"quality": "x" * 128})
    pod.run(inputs=many, facts=text)
    staged = pod.stage_in(step(inputs=many), attempt="again")
    assert staged.reused.keys() == {"msap1"}
    assert len(staged.fitted(room(3)).to_json()) <= room(3)
