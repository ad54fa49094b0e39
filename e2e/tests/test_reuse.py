"""What is there already is not made again: across attempts, reruns and campaigns."""

from typing import Any

import pytest

from e2e.tests.site import Site, states, steps, until
from plato_sas.api import Document

STEPS = ("one", "two", "three", "aside")


@pytest.fixture(scope="module")
def line(site: Site) -> str:
    """one -> two -> three, and `aside` beside them."""
    site.synthetic("line-a", outputs=["IDP_A"])
    site.synthetic("line-b", inputs=["IDP_A"], outputs=["IDP_B"])
    site.synthetic("line-c", inputs=["IDP_B"], outputs=["IDP_C"])
    site.pipeline("line", [
        {"name": "one", "module": "line-a"},
        {"name": "two", "module": "line-b", "inputs": [{"name": "IDP_A", "step": "one"}]},
        {"name": "three", "module": "line-c", "inputs": [{"name": "IDP_B", "step": "two"}]},
        {"name": "aside", "module": "line-a"},
    ])  # fmt: skip
    return "line"


def rerun(site: Site, star: str, number: int, wish: Document | None = None, **spec: Any) -> dict[str, str]:
    """Ask for a rerun and wait for its end; the steps' states."""
    site.patch(star, {"rerun": {"id": number, **(wish or {})}, **spec})
    until(lambda: site.star(star)["status"].get("rerun") == number, f"rerun {number} taken up", 30)
    return states(site.finished(star))


def digests_of(site: Site, star: str) -> dict[str, str]:
    """What the star's status says of each product."""
    return {name: step["digest"] for name, step in steps(site.star(star)["status"]).items()}


def made(site: Site, star: str) -> dict[str, str]:
    """The Job that made each product."""
    return {step: site.manifest(star, step)["attemptId"] for step in STEPS}


def _failed_jobs(site: Site, star: str) -> list[str]:
    return [one["metadata"]["name"] for one in site.jobs(star) if one.get("status", {}).get("failed")]


def test_a_changed_parameter_reruns_exactly_what_is_downstream_of_it(site: Site, line: str) -> None:
    site.start("tuned", pipeline=line)
    assert set(states(site.finished("tuned")).values()) == {"Succeeded"}
    before, digests = made(site, "tuned"), digests_of(site, "tuned")

    assert rerun(site, "tuned", 1) == dict.fromkeys(STEPS, "Reused")
    assert made(site, "tuned") == before, "nothing was made again"
    assert digests_of(site, "tuned") == digests
    assert _failed_jobs(site, "tuned") == [], "what succeeded does not look failed"
    named = {name: step["job"] for name, step in steps(site.star("tuned")["status"]).items()}
    assert named == before, "the status names where each product was made"
    for job in before.values():
        assert (site.products / "e2e" / "tuned" / ".logs" / f"{job}.log").is_file()

    seen = rerun(site, "tuned", 2, parameters={"two": {"message": "another way"}})
    assert seen == {"one": "Reused", "two": "Succeeded", "three": "Succeeded", "aside": "Reused"}
    after = made(site, "tuned")
    assert {step for step in STEPS if after[step] != before[step]} == {"two", "three"}
    changed = digests_of(site, "tuned")
    assert {step for step in STEPS if changed[step] != digests[step]} == {"two", "three"}
    two, three = (site.manifest("tuned", step) for step in ("two", "three"))
    assert two["parameters"]["message"] == "another way"
    assert three["inputs"]["IDP_B"]["sha256"] == two["outputs"]["IDP_B"]["sha256"]


def test_a_changed_parameter_that_changes_no_product_reruns_its_step_alone(site: Site, line: str) -> None:
    write = "import pathlib; pathlib.Path('/sas/out/IDP_B.h5').write_text('whatever it was told')"
    site.synthetic("line-deaf", inputs=["IDP_A"], outputs=["IDP_B"], command=["python3", "-c", write], args=[])
    site.pipeline("line-deaf", [
        {"name": "one", "module": "line-a"},
        {"name": "two", "module": "line-deaf", "inputs": [{"name": "IDP_A", "step": "one"}]},
        {"name": "three", "module": "line-c", "inputs": [{"name": "IDP_B", "step": "two"}]},
        {"name": "aside", "module": "line-a"},
    ])  # fmt: skip
    # In a stage of both, what three is made of is not known before two has run.
    site.start("unmoved", pipeline="line-deaf", stages="PerStep")
    assert set(states(site.finished("unmoved")).values()) == {"Succeeded"}
    before = made(site, "unmoved")
    seen = rerun(site, "unmoved", 1, parameters={"two": {"message": "unheard"}})
    assert seen == {"one": "Reused", "two": "Succeeded", "three": "Reused", "aside": "Reused"}
    after = made(site, "unmoved")
    assert {step for step in STEPS if after[step] != before[step]} == {"two"}


def test_only_what_failed_is_run_again(site: Site, line: str) -> None:
    site.start("mended", pipeline=line, parameters={"two": {"exit_code": 3}})
    assert states(site.finished("mended"))["two"] == "Failed"
    kept = {step: site.manifest("mended", step)["publishedAt"] for step in ("one", "aside")}
    seen = rerun(site, "mended", 1, {"failed": True}, parameters={"two": {"exit_code": 0}})
    assert seen == dict.fromkeys(STEPS, "Succeeded")
    assert {step: site.manifest("mended", step)["publishedAt"] for step in ("one", "aside")} == kept


def test_a_rerun_from_a_step_runs_it_although_nothing_has_changed(site: Site, line: str) -> None:
    site.start("forced", pipeline=line)
    site.finished("forced")
    before = made(site, "forced")
    seen = rerun(site, "forced", 1, {"from": ["two"]})
    # What three is made of is not known before two has run in the same stage.
    assert seen == dict.fromkeys(STEPS, "Succeeded")
    after = made(site, "forced")
    assert {step for step in STEPS if after[step] != before[step]} == {"two", "three"}


def test_another_campaign_reuses_what_nothing_has_changed_for(site: Site, line: str) -> None:
    site.start("carried", pipeline=line)
    site.finished("carried")
    spec = {"star": "carried", "campaign": "e2e-next", "pipeline": line, "parameters": {"aside": {"message": "new"}}}
    site.apply("StarProcessing", "carried-next", spec)
    status = site.finished("carried-next")
    assert states(status) == {"one": "Reused", "two": "Reused", "three": "Reused", "aside": "Succeeded"}
    until(lambda: not _failed_jobs(site, "carried"), "no failed Job left of what was not run", 30)
    manifest = site.manifest("carried", "three", campaign="e2e-next")
    assert manifest["campaign"] == "e2e-next"
    assert manifest["reusedFrom"]["campaign"] == "e2e"
    first, second = (site.products / campaign / "carried" / "three" / "IDP_C.h5" for campaign in ("e2e", "e2e-next"))
    assert first.read_bytes() == second.read_bytes()
