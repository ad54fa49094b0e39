"""The thirty-step baseline on the real node: states, Jobs, provenance, and a campaign that follows another."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from e2e.tests.site import Site, give_demo_stars, states, steps, until
from plato_sas.api import Document

FIRST, SECOND, AGAIN, CHANGED = "baseline-1", "baseline-2", "baseline-2-again", "baseline-2-changed"
OSCILLATING, QUIET = "psls-0001", "kic-3733735"
MOST_JOBS = 6
STATUS_LIMIT = 16 * 1024

ALL_STEPS = [
    "msap1-02", "msap1-01", "msap1-07", "msap1-08", "msap3-01", "msap3-02", "msap3-03", "msap3-04",
    "msap4-01", "msap4-02", "msap4-03", "msap4-04", "msap4-06", "msap4-07", "msap2-01", "msap2-02", "msap2-03",
    "msap5-11", "msap5-12", "msap5-13", "msap5-14", "msap5-15", "msap5-21", "msap5-22", "msap5-23", "msap5-24",
    "msap5-31", "msap5-32", "msap5-33", "msap5-34",
]  # fmt: skip
WITHOUT_OSCILLATIONS = [
    "msap3-04", "msap2-01", "msap2-02", "msap2-03", "msap5-11", "msap5-12", "msap5-13", "msap5-14", "msap5-15",
    "msap5-23", "msap5-24", "msap5-32", "msap5-34",
]  # fmt: skip
CONSISTENCY_AND_DOWNSTREAM = {"msap5-31", "msap5-32", "msap5-34"}


def facts(**values: bool) -> Document:
    """A synthetic step's parameters that make it report these facts."""
    return {"facts": json.dumps(values)}


EVERYTHING: Document = {
    "msap3-03": {"mc_samples": 11},  # no test of uncertainties
    "msap3-04": facts(individual_frequencies=True, mixed_modes=True),
    "msap4-04": facts(logg_flag=True),
    # A quarter of a simulated star is at the edge of what ROOSTER is sure of; here the branch is what counts.
    "msap4-07": {"score_min": "0.1"},
    "msap5-31": facts(consistent=True),
}
NOTHING: Document = {
    "msap4-04": facts(logg_flag=False),
    "msap4-07": {"score_min": "0.1"},
    "msap5-31": facts(consistent=False),
}


def start(site: Site, star: str, campaign: str, parameters: Document, **spec: Any) -> str:
    """Create the star's processing in a campaign; returns its name."""
    name = f"{star}-{campaign}"
    site.apply(
        "StarProcessing", name,
        {"star": star, "campaign": campaign, "pipeline": "sas-baseline", "parameters": parameters, **spec},
    )  # fmt: skip
    return name


@pytest.fixture(scope="module")
def light_curves(site: Site) -> None:
    """The demo's inputs, and the spectrum that they lack."""
    give_demo_stars(site, OSCILLATING, QUIET)
    for star in (OSCILLATING, QUIET):
        (site.inputs / star / "PFU_SPECTRUM").write_text("a synthetic spectrum: no science\n")


@pytest.fixture(scope="module")
def first(site: Site, light_curves: None) -> dict[str, Document]:
    """Both stars' status after their first campaign."""
    names = {
        OSCILLATING: start(site, OSCILLATING, FIRST, EVERYTHING),
        QUIET: start(site, QUIET, FIRST, NOTHING),
    }
    return {star: site.finished(name, 400) for star, name in names.items()}


@pytest.fixture(scope="module")
def second(site: Site, first: dict[str, Document]) -> Document:
    """The oscillating star's status after the campaign that follows."""
    assert first[OSCILLATING]["state"] == "Succeeded"
    return site.finished(start(site, OSCILLATING, SECOND, EVERYTHING, previousCampaign=FIRST), 400)


def test_every_branch_is_taken_where_every_fact_is_true(first: dict[str, Document]) -> None:
    status = first[OSCILLATING]
    assert (status["state"], status["progress"]) == ("Succeeded", "30/30")
    assert states(status) == dict.fromkeys(ALL_STEPS, "Succeeded") | {"msap5-33": "Skipped"}
    assert steps(status)["msap5-33"]["reason"] == "ConditionFalse"
    # Found by the real modules in the light curve, not said by a parameter.
    assert status["facts"]["msap3-03"]["osc_detection_flag"] is True
    assert status["facts"]["msap3-03"]["peakbagging_flag"] is True
    assert status["facts"]["msap4-07"]["prot_detected"] is True


def test_a_star_without_oscillations_skips_what_needs_them(first: dict[str, Document]) -> None:
    status = first[QUIET]
    assert (status["state"], status["progress"]) == ("Succeeded", "30/30")
    assert states(status) == dict.fromkeys(ALL_STEPS, "Succeeded") | dict.fromkeys(WITHOUT_OSCILLATIONS, "Skipped")
    assert status["facts"]["msap3-03"]["osc_detection_flag"] is False
    reasons = {name: step["reason"] for name, step in steps(status).items() if step["state"] == "Skipped"}
    no_peaks = {"msap5-13", "msap5-14", "msap5-15"}  # hang on facts of msap3-04, which did not run
    assert reasons == dict.fromkeys(WITHOUT_OSCILLATIONS, "ConditionFalse") | dict.fromkeys(no_peaks, "FactAbsent")


@pytest.mark.parametrize("star", [OSCILLATING, QUIET])
def test_thirty_steps_take_a_handful_of_pods_and_a_small_status(
    site: Site, first: dict[str, Document], star: str
) -> None:
    ran = [step for step in first[star]["steps"] if step["state"] == "Succeeded"]
    of_steps = {step["job"] for step in ran}
    logs = site.products / FIRST / star / ".logs"
    # Every Job leaves its log, so that one that no step names (a salvage of what ended well) is counted too.
    jobs = until(lambda: found if of_steps <= (found := {one.stem for one in logs.glob("*.log")}) else None, "logs", 60)
    assert jobs == of_steps
    print(f"{star}: {len(ran)} steps in {len(jobs)} Jobs")
    assert len(jobs) <= MOST_JOBS
    assert {step["attempt"] for step in ran} == {1}
    assert len(json.dumps(first[star])) < STATUS_LIMIT


@pytest.mark.parametrize("star", [OSCILLATING, QUIET])
def test_every_input_is_what_its_producer_published(site: Site, first: dict[str, Document], star: str) -> None:
    succeeded = {name for name, state in states(first[star]).items() if state == "Succeeded"}
    assert site.published(star, FIRST) == succeeded
    for name in succeeded:
        check_provenance(site, star, name, FIRST)
    externals = {"DP1_LC_MERGED", "PFU_STAR_DATA"}
    if star == OSCILLATING:
        externals |= {"PFU_SPECTRUM", "IDP_EAS_TRANSIT_REMOVAL_KIT"}
    assert first[star]["inputs"].keys() == externals


def check_provenance(site: Site, star: str, step: str, campaign: str) -> None:
    """Outputs are as their manifest says, inputs as the manifest of the step that made them, or the file, says."""
    manifest = site.manifest(star, step, campaign)
    folder = site.products / campaign / star / step
    for output in manifest["outputs"].values():
        assert sha256(folder / output["path"]) == output["sha256"], f"{step}: {output['path']}"
    for name, one in manifest["inputs"].items():
        if one["volume"] == "inputs":
            assert sha256(site.inputs / one["path"]) == one["sha256"], f"{step}: {name}"
            continue
        producer = json.loads((site.products / one["path"]).with_name("manifest.json").read_text())
        made = {output["path"]: output["sha256"] for output in producer["outputs"].values()}
        assert made[Path(one["path"]).name] == one["sha256"], f"{step}: {name}"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_optional_inputs_are_there_for_one_star_and_not_for_the_other(site: Site, first: dict[str, Document]) -> None:
    assert first.keys() == {OSCILLATING, QUIET}
    kit, teff = "IDP_EAS_TRANSIT_REMOVAL_KIT", "IDP_SAS_TEFF_SAPP"
    for star, there in ((OSCILLATING, True), (QUIET, False)):
        assert (kit in site.manifest(star, "msap1-01", FIRST)["inputs"]) is there
        assert (teff in site.manifest(star, "msap5-21", FIRST)["inputs"]) is there
        # Nothing came before the first campaign.
        assert site.manifest(star, "msap1-02", FIRST)["inputs"].keys() == {"DP1_LC_MERGED", "PFU_STAR_DATA"}
        assert site.manifest(star, "msap1-07", FIRST)["inputs"].keys() == {"IDP_SAS_VARLC"}


def test_the_next_campaign_reads_the_products_of_the_one_before(
    site: Site, first: dict[str, Document], second: Document
) -> None:
    assert states(second) == states(first[OSCILLATING])
    expected = {
        "msap1-02": {"DP4_SAS_PROT": "msap4-07", "DP4_SAS_SPH": "msap4-07"},
        "msap1-07": {"DP3_SAS_NU_MAX": "msap3-03"},
    }
    for step, previous in expected.items():
        read = site.manifest(OSCILLATING, step, SECOND)["inputs"]
        for name, producer in previous.items():
            assert read[name]["path"] == f"{FIRST}/{OSCILLATING}/{producer}/{name}.h5"
            made = site.manifest(OSCILLATING, producer, FIRST)["outputs"][name]
            assert read[name]["sha256"] == made["sha256"]
    for name in site.published(OSCILLATING, SECOND):
        check_provenance(site, OSCILLATING, name, SECOND)


def test_what_nothing_has_changed_for_is_reused(site: Site, second: Document) -> None:
    ran = {name for name, state in states(second).items() if state == "Succeeded"}
    changed = EVERYTHING | {"msap5-31": {**EVERYTHING["msap5-31"], "true_share": "0.5"}}
    names = {
        campaign: start(site, OSCILLATING, campaign, parameters, previousCampaign=FIRST)
        for campaign, parameters in ((AGAIN, EVERYTHING), (CHANGED, changed))
    }
    ends = {campaign: site.finished(name, 120) for campaign, name in names.items()}
    assert {status["state"] for status in ends.values()} == {"Succeeded"}
    reused = {
        campaign: {name for name, state in states(status).items() if state == "Reused"}
        for campaign, status in ends.items()
    }
    assert reused[AGAIN] == ran
    assert reused[CHANGED] == ran - CONSISTENCY_AND_DOWNSTREAM
    digests = {name: step["digest"] for name, step in steps(second).items() if "digest" in step}
    assert {name: step["digest"] for name, step in steps(ends[AGAIN]).items() if "digest" in step} == digests
    for campaign in ends:
        for name in site.published(OSCILLATING, campaign):
            check_provenance(site, OSCILLATING, name, campaign)
