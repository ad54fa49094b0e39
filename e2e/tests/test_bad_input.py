"""Bad input: a clear error that names the field or file, no Job that stays, nothing published."""

import pytest

from e2e.install.modules import science_modules
from e2e.processes.command import CommandFailed
from e2e.tests.conftest import JOB_TTL_SECONDS
from e2e.tests.site import Site, condition, steps, until
from plato_sas.api import Document


@pytest.fixture(scope="module", autouse=True)
def _pipelines(site: Site) -> None:
    site.synthetic("maker", outputs=["IDP_A"])
    site.synthetic("passer", inputs=["IDP_A"], outputs=["IDP_A"])
    site.pipeline("simple", [{"name": "one", "module": "maker"}])


def rejected(site: Site, star: str) -> Document:
    """The Accepted condition of a star that was rejected; it has no Job and no product."""
    status = site.finished(star, 60)
    assert status["state"] == "Rejected"
    assert site.jobs(star) == []
    assert site.published(star) == set()
    accepted = condition(status, "Accepted")
    assert accepted["status"] == "False"
    return accepted


def failed(site: Site, star: str, step: str) -> Document:
    """The failed step of a star; its Jobs go, and nothing of that step is published."""
    status = site.finished(star)
    assert status["state"] == "Failed"
    assert step not in site.published(star)
    until(lambda: not site.jobs(star), "no Job left", JOB_TTL_SECONDS + 60)
    return steps(status)[step]


@pytest.mark.parametrize("star", ["../../etc", "a/b", "..", "", "a b", "x" * 80])
def test_a_star_that_could_be_a_path_is_refused_at_admission(site: Site, star: str) -> None:
    with pytest.raises(CommandFailed, match=r"spec\.star"):
        site.apply("StarProcessing", "evil", {"star": star, "campaign": "e2e", "pipeline": "simple"})


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("spec.inputs", {"inputs": {"DP1": {"path": "../../etc/passwd"}}}),
        ("spec.parameters", {"parameters": {"one": {"sleep_s": 0.5}}}),
        ("spec.desiredState", {"desiredState": "Stop"}),
        ("wishes", {"wishes": "many"}),
    ],
)
def test_a_malformed_spec_is_refused_at_admission(site: Site, field: str, spec: Document) -> None:
    with pytest.raises(CommandFailed) as refusal:
        site.start("malformed", pipeline="simple", **spec)
    assert field in str(refusal.value)


def test_star_campaign_and_pipeline_cannot_change(site: Site) -> None:
    site.start("fixed", pipeline="simple")
    with pytest.raises(CommandFailed, match=r"spec\.campaign.*immutable"):
        site.patch("fixed", {"campaign": "other"})


def test_an_unknown_pipeline(site: Site) -> None:
    site.start("lost", pipeline="no-such")
    accepted = rejected(site, "lost")
    assert accepted["reason"] == "PipelineNotFound"
    assert accepted["message"] == "spec.pipeline: there is no StarPipeline 'no-such'"


def test_a_star_rejected_for_want_of_its_pipeline_is_accepted_when_that_comes(site: Site) -> None:
    site.start("early", pipeline="late")
    rejected(site, "early")
    site.pipeline("late", [{"name": "one", "module": "maker"}])
    until(lambda: site.star("early")["status"]["state"] == "Succeeded", "the star to succeed", 120)


def test_a_graph_with_a_cycle(site: Site) -> None:
    step = {"module": "passer"}
    site.pipeline(
        "circle",
        [
            {"name": "hen", "inputs": [{"name": "IDP_A", "step": "egg"}], **step},
            {"name": "egg", "inputs": [{"name": "IDP_A", "step": "hen"}], **step},
        ],
    )
    site.start("dizzy", pipeline="circle")
    accepted = rejected(site, "dizzy")
    assert accepted["reason"] == "GraphHasCycle"
    assert "StarPipeline circle: spec.steps: the steps form a cycle:" in accepted["message"]
    assert "hen -> egg -> hen" in accepted["message"] or "egg -> hen -> egg" in accepted["message"]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("stray-step", {"two": {"sleep_s": 1}}, "spec.parameters.two: pipeline 'simple' has no step 'two'"),
        ("stray-name", {"one": {"naps": 1}}, "spec.parameters.one.naps: no such parameter"),
        (
            "stray-form",
            {"one": {"Sleep-S": 1}},
            "spec.parameters.one.'Sleep-S': no such parameter: did you mean sleep_s?",
        ),
        ("stray-type", {"one": {"sleep_s": "long"}}, "spec.parameters.one.sleep_s: 'long' is not of type number"),
    ],
)
def test_unknown_steps_and_parameters(site: Site, name: str, parameters: Document, message: str) -> None:
    site.start(name, pipeline="simple", parameters=parameters)
    assert message in rejected(site, name)["message"]


def test_a_missing_light_curve(site: Site) -> None:
    site.start("unobserved", pipeline="sas-demo")
    step = failed(site, "unobserved", "msap1")
    assert step["reason"] == "InputMissing"
    assert "input DP1_LC_MERGED: inputs volume: unobserved/DP1_LC_MERGED.h5 does not exist" in step["message"]


def test_a_light_curve_with_another_checksum_than_announced(site: Site) -> None:
    folder = site.inputs / "altered"
    folder.mkdir(mode=0o755)
    (folder / "DP1_LC_MERGED.h5").write_bytes(b"something else")
    site.start("altered", pipeline="sas-demo", inputs={"DP1_LC_MERGED": {"sha256": "0" * 64}})
    step = failed(site, "altered", "msap1")
    assert step["reason"] == "ChecksumMismatch"
    assert "altered/DP1_LC_MERGED.h5" in step["message"]


def test_a_corrupt_hdf5_file(site: Site) -> None:
    assert "msap1" in {module["metadata"]["name"] for module in science_modules()}
    folder = site.inputs / "corrupt"
    folder.mkdir(mode=0o755)
    (folder / "DP1_LC_MERGED.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"broken" * 1000)
    site.start("corrupt", pipeline="sas-demo")
    step = failed(site, "corrupt", "msap1")
    assert step["reason"] == "ModuleFailed"
    assert 1 <= step["exitCode"] <= 63
    assert "DP1_LC_MERGED" in step["message"]
    assert "Traceback" not in step["message"]


def test_a_module_that_ends_well_and_writes_nothing(site: Site) -> None:
    site.start("silent", pipeline="simple", parameters={"one": {"silent": "true"}})
    step = failed(site, "silent", "one")
    assert step["reason"] == "OutputMissing"
    assert "output IDP_A: /sas/out/IDP_A.h5 does not exist" in step["message"]


def test_facts_that_were_not_declared(site: Site) -> None:
    site.start("boastful", pipeline="simple", parameters={"one": {"facts": '{"best": true}'}})
    step = failed(site, "boastful", "one")
    assert step["reason"] == "FactsInvalid"
    assert "facts.json: 'best' is not declared" in step["message"]


def test_a_module_that_does_not_exist(site: Site) -> None:
    site.pipeline("ghostly", [{"name": "one", "module": "ghost"}])
    site.start("haunted", pipeline="ghostly")
    accepted = rejected(site, "haunted")
    assert accepted["reason"] == "ModuleNotFound"
    assert "spec.steps[one].module: there is no ScienceModule 'ghost'" in accepted["message"]
