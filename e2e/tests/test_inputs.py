"""Inputs that may be absent, and those of the campaign before."""

import pytest

from e2e.tests.site import Site, states, steps


@pytest.fixture(scope="module")
def quarterly(site: Site) -> str:
    """`make` reads a light curve, perhaps a removal kit, and perhaps what `sum` made in the campaign before."""
    site.synthetic(
        "quarter-make", inputs=["DP1", "KIT", "DP4_OLD"], optional=["KIT", "DP4_OLD"], outputs=["IDP_A"]
    )  # fmt: skip
    site.synthetic("quarter-sum", inputs=["IDP_A"], outputs=["DP4_SUM"])
    site.pipeline(
        "quarterly",
        [
            {"name": "make", "module": "quarter-make", "inputs": [
                {"name": "DP1", "external": "DP1"}, {"name": "KIT", "external": "KIT"},
                {"name": "DP4_OLD", "previous": "sum", "output": "DP4_SUM"}]},
            {"name": "sum", "module": "quarter-sum", "inputs": [{"name": "IDP_A", "step": "make"}]},
        ],
        externals=[{"name": "DP1", "path": "{star}/DP1.h5"}, {"name": "KIT", "path": "{star}/KIT.h5"}],
    )  # fmt: skip
    return "quarterly"


def deliver(site: Site, star: str, *names: str) -> None:
    folder = site.inputs / star
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.h5").write_bytes(f"{name} of {star}".encode())


def test_an_optional_external_input_is_there_or_not(site: Site, quarterly: str) -> None:
    deliver(site, "kitless", "DP1")
    deliver(site, "kitted", "DP1", "KIT")
    site.start("kitless", pipeline=quarterly)
    site.start("kitted", pipeline=quarterly)
    without, with_kit = site.finished("kitless"), site.finished("kitted")
    assert without["state"] == with_kit["state"] == "Succeeded"
    assert set(site.manifest("kitless", "make")["inputs"]) == {"DP1"}
    assert set(site.manifest("kitted", "make")["inputs"]) == {"DP1", "KIT"}
    assert set(with_kit["inputs"]) == {"DP1", "KIT"}, "the status names what was read"


def test_a_star_reads_its_products_of_the_campaign_before(site: Site, quarterly: str) -> None:
    deliver(site, "grown", "DP1")
    spec = {"star": "grown", "pipeline": quarterly}
    site.apply("StarProcessing", "grown-q1", {**spec, "campaign": "q1", "previousCampaign": "q0"})
    assert site.finished("grown-q1")["state"] == "Succeeded", "there was no quarter before the first"
    site.apply("StarProcessing", "grown-q2", {**spec, "campaign": "q2", "previousCampaign": "q1"})
    status = site.finished("grown-q2")
    assert states(status) == {"make": "Succeeded", "sum": "Succeeded"}, "a new input: nothing to reuse"
    read = site.manifest("grown", "make", campaign="q2")["inputs"]["DP4_OLD"]
    assert read["sha256"] == site.manifest("grown", "sum", campaign="q1")["outputs"]["DP4_SUM"]["sha256"]


def test_a_required_product_of_the_campaign_before_is_missed_by_name(site: Site) -> None:
    site.synthetic("needy", inputs=["DP4_OLD"], outputs=["DP4_SUM"])
    site.pipeline("needy", [
        {"name": "sum", "module": "needy", "inputs": [{"name": "DP4_OLD", "previous": "sum", "output": "DP4_SUM"}]},
    ])  # fmt: skip
    site.start("orphan", pipeline="needy")
    rejected = site.finished("orphan")
    assert rejected["state"] == "Rejected"
    assert "spec.previousCampaign: step 'sum' needs input DP4_OLD" in rejected["conditions"][0]["message"]
    site.start("heir", pipeline="needy", previousCampaign="never")
    missing = steps(site.finished("heir"))["sum"]
    assert (missing["state"], missing["reason"]) == ("Failed", "InputMissing")
    assert "never/heir/sum/DP4_SUM.h5 does not exist" in missing["message"]
