"""Steps as stages: fused or one by one, followed live, and taken up after the last step that ended well."""

import pytest

from e2e.tests.site import FINISHED, Site, condition, states, steps, until
from plato_sas.api import Document


@pytest.fixture(scope="module")
def chain(site: Site) -> str:
    """one -> two -> three, and `aside` beside them."""
    site.synthetic("link-a", outputs=["IDP_A"])
    site.synthetic("link-b", inputs=["IDP_A"], outputs=["IDP_B"], timeout="20s", retry={"temporary": 2})
    site.synthetic("link-c", inputs=["IDP_B"], outputs=["IDP_C"])
    site.pipeline("links", [
        {"name": "one", "module": "link-a"},
        {"name": "two", "module": "link-b", "inputs": [{"name": "IDP_A", "step": "one"}]},
        {"name": "three", "module": "link-c", "inputs": [{"name": "IDP_B", "step": "two"}]},
        {"name": "aside", "module": "link-a"},
    ])  # fmt: skip
    return "links"


def followed(site: Site, star: str, seconds: float = 120) -> tuple[Document, list[str]]:
    """The finished star's status, and the steps of each Job that it had, as in "one=1,two=1", as they were made."""
    seen: dict[tuple[str, str], str] = {}

    def look() -> Document | None:
        for job in site.jobs(star):
            metadata = job["metadata"]
            seen[metadata["creationTimestamp"], metadata["name"]] = metadata["annotations"]["plato-sas.io/steps"]
        status: Document = site.star(star).get("status", {})
        return status if status.get("state") in FINISHED else None

    status = until(look, f"star {star} finished", seconds)
    return status, [seen[key] for key in sorted(seen)]


def test_a_fused_stage_is_one_job_whose_steps_are_shown_live(site: Site, chain: str) -> None:
    slow = {"sleep_s": 5}
    site.start("live", pipeline=chain, parameters={"one": slow, "two": slow, "three": slow})

    def midway() -> Document | None:
        status: Document = site.star("live").get("status", {})
        seen = states(status)
        return status if (seen.get("one"), seen.get("two")) == ("Publishing", "Running") else None

    status = until(midway, "step two seen running while one waits to be published", 60)
    assert states(status)["three"] == "Pending"
    assert site.published("live") == set(), "a product is visible when its stage has ended"
    status, jobs = followed(site, "live")
    assert set(states(status).values()) == {"Succeeded"}
    assert jobs == ["one=1,aside=1,two=1,three=1"]
    assert site.published("live") == {"one", "two", "three", "aside"}
    begun = [steps(status)[name]["startedAt"] for name in ("one", "two", "three")]
    assert begun == sorted(set(begun)), "each step has its own times"


def test_per_step_makes_a_job_of_every_step(site: Site, chain: str) -> None:
    site.start("single", pipeline=chain, stages="PerStep")
    status, jobs = followed(site, "single")
    assert status["state"] == "Succeeded"
    assert set(jobs) == {"one=1", "aside=1", "two=1", "three=1"}


def test_a_stage_ends_where_a_fact_is_needed(site: Site) -> None:
    site.synthetic("teller", outputs=["IDP_A"], facts=[{"name": "go", "type": "boolean"}])
    site.synthetic("hearer", inputs=["IDP_A"], outputs=["IDP_B"])
    tell = [{"name": "IDP_A", "step": "tell"}]
    site.pipeline("telling", [
        {"name": "tell", "module": "teller"},
        {"name": "always", "module": "hearer", "inputs": tell},
        {"name": "perhaps", "module": "hearer", "inputs": tell, "when": "facts['tell'].go"},
    ])  # fmt: skip
    site.start("told", pipeline="telling", parameters={"tell": {"facts": '{"go": true}'}})
    status, jobs = followed(site, "told")
    assert set(states(status).values()) == {"Succeeded"}
    assert jobs == ["tell=1,always=1", "perhaps=1"]


def test_a_retry_begins_after_the_last_step_that_ended_well(site: Site, chain: str) -> None:
    site.start("again", pipeline=chain, parameters={"two": {"exit_code": 75, "failures": 1}})
    status, jobs = followed(site, "again")
    assert status["state"] == "Succeeded"
    found = steps(status)
    assert {name: one["attempt"] for name, one in found.items()} == {"one": 1, "two": 2, "three": 1, "aside": 1}
    assert found["two"]["retries"] == {"Temporary": 1}
    # The stage, a salvage of what it left, and a stage with the rest.
    assert jobs == ["one=1,aside=1,two=1,three=1", "one=1,aside=1", "two=2,three=1"]
    assert site.manifest("again", "one")["attempt"] == 1
    first, second = (site.manifest("again", name)["attemptId"] for name in ("one", "two"))
    assert first != second


def test_a_failure_in_the_middle_keeps_what_ended_well_before_it(site: Site, chain: str) -> None:
    site.start("broken", pipeline=chain, parameters={"two": {"exit_code": 3, "message": "two: no modes"}})
    status = site.finished("broken")
    assert states(status) == {"one": "Succeeded", "two": "Failed", "three": "Skipped", "aside": "Succeeded"}
    assert (steps(status)["two"]["exitCode"], steps(status)["two"]["message"]) == (3, "two: no modes")
    assert site.published("broken") == {"one", "aside"}


def test_the_step_at_fault_is_the_one_that_wrote_nothing_not_the_one_that_missed_it(site: Site, chain: str) -> None:
    site.start("mute", pipeline=chain, parameters={"one": {"silent": "true"}})
    status = site.finished("mute")
    assert states(status) == {"one": "Failed", "two": "Skipped", "three": "Skipped", "aside": "Succeeded"}
    assert steps(status)["one"]["reason"] == "OutputMissing"
    assert "/sas/out/IDP_A.h5 does not exist" in steps(status)["one"]["message"]
    assert steps(status)["two"]["reason"] == "UpstreamFailed"
    assert site.published("mute") == {"aside"}


def test_each_step_of_a_stage_has_its_own_timeout(site: Site, chain: str) -> None:
    site.start("slowpoke", pipeline=chain, parameters={"two": {"sleep_s": 300}})
    status = site.finished("slowpoke", 120)
    assert states(status) == {"one": "Succeeded", "two": "Failed", "three": "Skipped", "aside": "Succeeded"}
    assert steps(status)["two"]["reason"] == "DeadlineExceeded"


def test_a_failure_late_in_a_large_stage_is_told_by_its_last_lines(site: Site) -> None:
    """The status of a pod with so many containers has no room for the end of what one of them printed."""
    peak = "peak %02d of 60: the fit ran into the bound of its prior"
    log = "\n".join([*(peak % number for number in range(1, 61)), "no peak is left"])
    script = f"import sys\nfor n in range(1, 61): print({peak!r} % n, file=sys.stderr)\nsys.exit('no peak is left')\n"
    site.synthetic("large-a", outputs=["IDP_A"])
    site.synthetic("large-b", inputs=["IDP_A"], outputs=["IDP_A"])
    site.synthetic("fitter", inputs=["IDP_A"], outputs=["IDP_A"], command=["python3", "-c", script], args=[])
    before = [f"s{number:02d}" for number in range(1, 11)]
    names = [*before, "fit", "after"]
    modules = ["large-a", *["large-b"] * 9, "fitter", "large-b"]
    site.pipeline("crowded", [{"name": names[0], "module": modules[0]}, *(
        {"name": name, "module": module, "inputs": [{"name": "IDP_A", "step": producer}]}
        for producer, name, module in zip(names, names[1:], modules[1:], strict=False)
    )])  # fmt: skip
    site.start("crowded", pipeline="crowded")
    status, jobs = followed(site, "crowded")

    assert states(status) == dict.fromkeys(before, "Succeeded") | {"fit": "Failed", "after": "Skipped"}
    # The stage with all of them, and a salvage of those that ended well.
    assert jobs == [",".join(f"{name}=1" for name in names), ",".join(f"{name}=1" for name in before)]
    fit = steps(status)["fit"]
    assert (fit["reason"], fit["exitCode"], fit["attempt"]) == ("ModuleFailed", 1, 1)
    assert fit["message"] == log[-1024:]
    assert fit["message"] in condition(status, "Complete")["message"]
    assert (status["state"], status["progress"], status["step"]) == ("Failed", "10/12", "fit")
    assert site.published("crowded") == set(before)
    assert {site.manifest("crowded", name)["attemptId"] for name in before} == {fit["job"]}
    whole = site.products / "e2e" / "crowded" / ".logs" / f"{fit['job']}.log"
    until(lambda: whole.exists() and log in whole.read_text(), "all that it printed in the log of the stage", 30)
