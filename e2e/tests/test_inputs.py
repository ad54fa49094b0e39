"""Inputs that may be absent, and those of the campaign before."""

import pytest

from e2e.tests.site import Site, states, steps, until


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


@pytest.fixture(scope="module")
def readers(site: Site) -> str:
    """Two steps that read the same external product, the second what the first makes as well."""
    site.synthetic("reads-first", inputs=["DP1"], outputs=["IDP_A"])
    site.synthetic("reads-second", inputs=["DP1", "IDP_A"], outputs=["IDP_B"])
    dp1 = {"name": "DP1", "external": "DP1"}
    site.pipeline(
        "readers",
        [
            {"name": "first", "module": "reads-first", "inputs": [dp1]},
            {"name": "second", "module": "reads-second", "inputs": [dp1, {"name": "IDP_A", "step": "first"}]},
        ],
        externals=[{"name": "DP1", "path": "{star}/DP1.h5"}],
    )
    return "readers"


@pytest.mark.parametrize("mode", ["Fused", "PerStep"])
def test_an_input_delivered_anew_while_its_star_is_under_way(site: Site, readers: str, mode: str) -> None:
    star = f"redelivered-{mode.lower()}"
    deliver(site, star, "DP1")
    site.start(star, pipeline=readers, stages=mode, parameters={"first": {"sleep_s": 15}})
    site.in_state(star, "first", "Running")
    until(lambda: site.star(star)["status"].get("inputs"), "the input read", 60)
    folder = site.inputs / star
    (folder / "new").write_bytes(b"second delivery")
    (folder / "new").rename(folder / "DP1.h5")
    status = site.finished(star)
    assert status["state"] == "Failed"
    failed = [step for step in steps(status).values() if step["state"] == "Failed"]
    assert {step["reason"] for step in failed} == {"ChecksumMismatch"}
    assert all("DP1: inputs volume: " in step["message"] for step in failed)
    assert site.published(star) == set(), "none can tell which file it was made from"
    site.patch(star, {"rerun": {"id": 1}})
    until(lambda: site.star(star)["status"].get("rerun") == 1, "the rerun taken up", 60)
    assert states(site.finished(star)) == {"first": "Succeeded", "second": "Succeeded"}
    read = {site.manifest(star, step)["inputs"]["DP1"]["sha256"] for step in ("first", "second")}
    assert read == {site.star(star)["status"]["inputs"]["DP1"]}


def test_a_file_of_another_star_is_refused(site: Site, readers: str) -> None:
    deliver(site, "robbed", "DP1")
    site.start("robber", pipeline=readers, inputs={"DP1": {"path": "robbed/DP1.h5"}})
    status = site.finished("robber")
    assert steps(status)["first"]["reason"] == "InputInvalid"
    assert "robbed/DP1.h5 is in no folder that a star's spec.inputs may name" in steps(status)["first"]["message"]
    deliver(site, "chooser", "OTHER")
    site.start("chooser", pipeline=readers, inputs={"DP1": {"path": "chooser/OTHER.h5"}})
    assert site.finished("chooser")["state"] == "Succeeded"


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
