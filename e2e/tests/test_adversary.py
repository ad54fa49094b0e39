"""A module that wants another star's products, on the real node: every way is tried, in one stage and over two."""

import pytest

from e2e.tests.conftest import JOB_TTL_SECONDS
from e2e.tests.site import Site, states, steps, until
from plato_sas.api import Document

_SECRET = "victim"  # the star's name: its manifest and its products carry it
_TARGET = "e2e/victim/one/manifest.json"
_MODES = ("Fused", "PerStep")
_LINKS = ("link", "absolute-link", "link-to-folder", "link-through-folder", "link-to-proc", "hard-link")
_ELSEWHERE = {
    "logs": "e2e/victim/.logs",
    "attempts": "e2e/victim/.attempts",
    "archive": ".archive/e2e.jsonl",
    "product": "e2e/victim/two/IDP_B.h5",
}


@pytest.fixture(scope="module", autouse=True)
def _thieves(site: Site) -> None:
    """one -> two, in one pod or in two: a victim, then all that want to read its products."""
    site.synthetic("trapper", outputs=["IDP_A"])
    site.synthetic("prier", inputs=["IDP_A"], outputs=["IDP_B"])
    two = {"name": "two", "module": "prier", "inputs": [{"name": "IDP_A", "step": "one"}]}
    site.pipeline("pair", [{"name": "one", "module": "trapper"}, two])
    site.start("victim", pipeline="pair")
    assert site.finished("victim")["state"] == "Succeeded"
    assert _SECRET in (site.products / _TARGET).read_text()
    for mode in _MODES:
        for plant in (*_LINKS, "swap", "folder"):
            _start(site, _name(plant, mode), mode, plant, _TARGET)
    for name, target in _ELSEWHERE.items():
        _start(site, f"thief-of-{name}", "Fused", "link-through-folder", target)


def _name(plant: str, mode: str) -> str:
    return f"thief-{plant}-{mode.lower()}"


def _start(site: Site, star: str, mode: str, plant: str, target: str) -> None:
    """A star whose first step sets a trap; both look for the secret everywhere."""
    seeking = {"target": target, "pry": _SECRET}
    site.start(star, pipeline="pair", stages=mode, parameters={"one": {**seeking, "plant": plant}, "two": seeking})


def _finished(site: Site, star: str) -> Document:
    """The star's status, if it has read nothing that is not its own."""
    status = site.finished(star)
    until(lambda: not site.jobs(star), "its logs kept", JOB_TTL_SECONDS + 60)
    logs = [path.read_text() for path in (site.products / "e2e" / star / ".logs").iterdir()]
    assert any("plant: " in log for log in logs), "the trap was set"
    assert [line for log in logs for line in log.splitlines() if "FOUND" in line or _SECRET in line] == []
    for product in (site.products / "e2e" / star).glob("*/IDP_*"):
        assert not product.is_symlink()
        assert _SECRET.encode() not in product.read_bytes()
    return status


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("plant", _LINKS)
def test_an_output_that_is_a_link_leads_nobody_to_another_stars_product(site: Site, mode: str, plant: str) -> None:
    star = _name(plant, mode)
    status = _finished(site, star)
    one = steps(status)["one"]
    assert (status["state"], one["reason"]) == ("Failed", "OutputInvalid"), one
    assert "step one: output IDP_A: /sas/out/IDP_A.h5" in one["message"]
    assert states(status)["two"] == "Skipped"
    assert site.published(star) == set()


@pytest.mark.parametrize("mode", _MODES)
def test_a_race_between_file_and_link_ends_as_one_or_the_other(site: Site, mode: str) -> None:
    status = _finished(site, _name("swap", mode))
    if status["state"] == "Failed":
        assert steps(status)["one"]["reason"] == "OutputInvalid"
    else:
        assert set(states(status).values()) == {"Succeeded"}


@pytest.mark.parametrize("mode", _MODES)
def test_the_output_folder_itself_cannot_be_replaced(site: Site, mode: str) -> None:
    assert _finished(site, _name("folder", mode))["state"] == "Succeeded", "what it wrote before is its product"


@pytest.mark.parametrize("what", _ELSEWHERE)
def test_nothing_else_of_the_volume_can_be_reached_either(site: Site, what: str) -> None:
    status = _finished(site, f"thief-of-{what}")
    assert steps(status)["one"]["reason"] == "OutputInvalid"
