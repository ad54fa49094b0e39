"""What a `when` does: it is checked before anything runs, and what hangs on one that is false is left out."""

import pytest

from e2e.tests.site import Site, condition, states, steps, until

# By star: a `when` over the facts `go` (boolean) and `modes` (integer) of step `tell`, and what is said of it.
UNSOUND = {
    "no-boolean": ("facts['tell'].modes + 1", "the expression must be of type bool"),
    "no-fact": (
        "facts['tell'].rotation", "facts['tell'].rotation: its module declares no such fact (declared: go, modes)"),
    "no-step": ("facts['told'].go", "facts['told']: there is no such step upstream"),
    "no-match": (
        "facts['tell'].modes == 'many'", "found no matching overload for '_==_' applied to '(int, string)'"),
    "no-cel": ("facts['tell'].go &&", "Syntax error"),
}  # fmt: skip
CHAIN = {"gated", "second", "third"}


def _judging(site: Site, pipeline: str, when: str, witness: str = "witness") -> None:
    """tell -> perhaps, which runs under this condition."""
    site.pipeline(pipeline, [
        {"name": "tell", "module": witness},
        {"name": "perhaps", "module": "listener", "when": when, "inputs": [{"name": "IDP_A", "step": "tell"}]},
    ])  # fmt: skip


@pytest.fixture(scope="module")
def judged(site: Site) -> None:
    """A star for each condition, and one that has come through the same steps under a sound one."""
    facts = [{"name": "go", "type": "boolean"}, {"name": "modes", "type": "integer"}]
    site.synthetic("witness", outputs=["IDP_A"], facts=facts)
    site.synthetic("listener", inputs=["IDP_A"], outputs=["IDP_B"])
    for star, (when, _) in UNSOUND.items():
        _judging(site, star, when)
        site.start(star, pipeline=star)
    _judging(site, "sound", "facts['tell'].go && facts['tell'].modes > 6")
    site.start("sound", pipeline="sound", parameters={"tell": {"facts": '{"go": true, "modes": 7}'}})
    assert states(site.finished("sound")) == {"tell": "Succeeded", "perhaps": "Succeeded"}


@pytest.mark.parametrize("star", UNSOUND)
def test_an_unsound_condition_is_refused_before_any_step_runs(site: Site, judged: None, star: str) -> None:
    status = site.finished(star, 30)
    assert status["state"] == "Rejected"
    accepted, complete = condition(status, "Accepted"), condition(status, "Complete")
    assert (accepted["status"], accepted["reason"]) == ("False", "ConditionInvalid")
    assert accepted["message"].startswith(f"StarPipeline {star}: spec.steps[perhaps].when: {UNSOUND[star][1]}")
    assert (complete["status"], complete["reason"]) == ("False", "Rejected")
    assert site.jobs(star) == []
    # A Job leaves its log there, also one that is gone.
    assert not (site.products / "e2e" / star).exists()


def test_a_star_refused_for_an_undeclared_fact_runs_once_its_module_declares_it(site: Site, judged: None) -> None:
    site.synthetic("shy", outputs=["IDP_A"])
    _judging(site, "outspoken", "facts['tell'].go", witness="shy")
    site.start("outspoken", pipeline="outspoken", parameters={"tell": {"facts": '{"go": true}'}})
    accepted = condition(site.finished("outspoken", 30), "Accepted")
    assert accepted["reason"] == "ConditionInvalid"
    assert accepted["message"].endswith("facts['tell'].go: its module declares no such fact (declared: none)")
    site.synthetic("shy", outputs=["IDP_A"], facts=[{"name": "go", "type": "boolean"}])
    until(lambda: site.star("outspoken")["status"]["state"] == "Succeeded", "the star to succeed", 60)
    assert condition(site.star("outspoken")["status"], "Accepted")["status"] == "True"


@pytest.fixture(scope="module")
def cascade(site: Site) -> dict[str, str]:
    """tell -> gated -> second -> third, and beside second and third a step that can do without what they need.

    Gives the reason why `gated` is left out, by star.
    """
    site.synthetic("herald", outputs=["IDP_A"], facts=[{"name": "go", "type": "boolean"}])
    site.synthetic("follower", inputs=["IDP_A"], outputs=["IDP_A"])
    site.synthetic("content", inputs=["IDP_A"], optional=["IDP_A"], outputs=["IDP_A"])

    def step(name: str, module: str, producer: str, **more: str) -> dict[str, object]:
        return {"name": name, "module": module, "inputs": [{"name": "IDP_A", "step": producer}], **more}

    site.pipeline("cascade", [
        {"name": "tell", "module": "herald"},
        step("gated", "follower", "tell", when="facts['tell'].go"),
        step("second", "follower", "gated"),
        step("third", "follower", "second"),
        step("beside-second", "content", "gated"),
        step("beside-third", "content", "second"),
    ])  # fmt: skip
    shut = {"tell": {"facts": '{"go": false}'}}
    site.start("flowing", pipeline="cascade", parameters={"tell": {"facts": '{"go": true}'}})
    site.start("dry", pipeline="cascade", parameters=shut)
    site.start("dry-per-step", pipeline="cascade", stages="PerStep", parameters=shut)
    site.start("untold", pipeline="cascade")
    return {"dry": "ConditionFalse", "dry-per-step": "ConditionFalse", "untold": "FactAbsent"}


@pytest.mark.parametrize("star", ["dry", "dry-per-step", "untold"])
def test_a_skip_goes_down_through_required_inputs_and_ends_at_optional_ones(
    site: Site, cascade: dict[str, str], star: str
) -> None:
    status = site.finished(star)
    ran = {"tell", "beside-second", "beside-third"}
    assert (status["state"], status["progress"]) == ("Succeeded", "6/6")
    assert states(status) == dict.fromkeys(ran, "Succeeded") | dict.fromkeys(CHAIN, "Skipped")
    found = steps(status)
    assert {name: found[name]["reason"] for name in CHAIN} == {
        "gated": cascade[star], "second": "InputAbsent", "third": "InputAbsent"
    }  # fmt: skip
    assert found["gated"]["message"].startswith("when: facts['tell'].go")
    assert found["second"]["message"] == "input IDP_A: step gated made none"
    assert found["third"]["message"] == "input IDP_A: step second made none"
    assert not any("job" in found[name] or found[name]["attempt"] for name in CHAIN), "none was ever begun"
    assert site.published(star) == ran
    for name in ("beside-second", "beside-third"):
        assert site.manifest(star, name)["inputs"] == {}


def test_the_same_steps_run_where_the_condition_is_true(site: Site, cascade: dict[str, str]) -> None:
    status = site.finished("flowing")
    assert set(states(status).values()) == {"Succeeded"}
    assert site.published("flowing") == {"tell", *CHAIN, "beside-second", "beside-third"}
    for name, producer in (("third", "second"), ("beside-second", "gated"), ("beside-third", "second")):
        read = site.manifest("flowing", name)["inputs"]["IDP_A"]
        assert read["sha256"] == site.manifest("flowing", producer)["outputs"]["IDP_A"]["sha256"]
