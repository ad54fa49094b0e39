"""The products of a campaign become tables, in a Job of the operator's own."""

import json
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from e2e.kubernetes import get, kubectl
from e2e.processes.command import CommandFailed
from e2e.reading import reader
from e2e.tests.site import Site, condition, until
from plato_sas.api import Document

CAMPAIGN = "tables"
TABLES: list[Document] = [
    {
        "name": "DP5",
        "description": "Masses, synthetic",
        "columns": [
            {"name": "found", "step": "look", "fact": "found", "description": "Whether there is anything to weigh"},
            {"name": "mass", "unit": "solMass", "step": "weigh", "output": "DP5_SAS_MASS"},
            {"name": "mass_err", "unit": "solMass", "step": "weigh", "output": "DP5_SAS_MASS",
             "pointer": "/uncertainty"},
            {"name": "method", "step": "weigh", "output": "DP5_SAS_MASS", "pointer": "/@method", "type": "string"},
        ],
    },
    {"name": "DP3", "columns": [{"name": "found", "step": "look", "fact": "found"}]},
]  # fmt: skip


class Catalogues:
    """StarCatalogues of the site's namespace."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def create(self, name: str, *, campaign: str = CAMPAIGN, **spec: Any) -> None:
        fields = {"campaign": campaign, "pipeline": "weighing", "tables": TABLES, **spec}
        self._site.apply("StarCatalogue", name, fields)

    def patch(self, name: str, spec: Document) -> None:
        body = json.dumps({"spec": spec})
        kubectl("patch", "scat", name, "--type=merge", "-p", body, namespace=self._site.namespace)

    def status(self, name: str) -> Document:
        found: Document = reader().one("starcatalogues", name, self._site.namespace).get("status", {})
        return found

    def until(self, name: str, seconds: float = 120, **fields: Any) -> Document:
        """The status once these fields of it are so."""

        def look() -> Document | None:
            status = self.status(name)
            return status if all(status.get(key) == value for key, value in fields.items()) else None

        return until(look, f"catalogue {name}: {fields}", seconds)

    def table(self, status: Document, name: str, kind: str) -> Table:
        """A published table, if it is the one of the status."""
        (one,) = [one for one in status["tables"] if one["name"] == name]
        (file,) = [file for file in one["files"] if file["path"].endswith(f".{kind}")]
        path = self._site.products / file["path"]
        assert sha256(path.read_bytes()).hexdigest() == file["sha256"]
        return Table.read(path)


@pytest.fixture(scope="module")
def catalogues(site: Site) -> Catalogues:
    """look -> weigh where something was found; three stars, one without anything."""
    site.synthetic("look", outputs=["IDP_A"], facts=[{"name": "found", "type": "boolean"}])
    weigh = ["--input=IDP_A", "--output=DP5_SAS_MASS.h5", "--value=DP5_SAS_MASS=1.0:Msun"]
    site.synthetic("weigh", inputs=["IDP_A"], outputs=["DP5_SAS_MASS"], args=weigh)
    site.pipeline("weighing", [
        {"name": "look", "module": "look"},
        {"name": "weigh", "module": "weigh", "when": "facts['look'].found",
         "inputs": [{"name": "IDP_A", "step": "look"}]},
    ])  # fmt: skip
    for star, found in (("heavy", True), ("light", True), ("nothing", False)):
        weighed(site, star, found)
    return Catalogues(site)


def weighed(site: Site, star: str, found: bool) -> None:
    """Take a star through the pipeline."""
    facts = json.dumps({"found": found})
    site.start(
        f"weighed-{star}", pipeline="weighing", campaign=CAMPAIGN, star=star, parameters={"look": {"facts": facts}}
    )
    assert site.finished(f"weighed-{star}")["state"] == "Succeeded"


def test_a_campaign_becomes_tables(site: Site, catalogues: Catalogues) -> None:
    catalogues.create("whole")
    status = catalogues.until("whole", state="Succeeded")
    assert status["stars"] == {"seen": 3, "withoutProducts": 0, "withProblems": 0}
    assert {one["name"]: one["rows"] for one in status["tables"]} == {"DP5": 3, "DP3": 3}
    assert condition(status, "Complete")["status"] == condition(status, "Accepted")["status"] == "True"
    for kind in ("fits", "ecsv"):
        table = catalogues.table(status, "DP5", kind)
        assert list(table["star"]) == ["heavy", "light", "nothing"]
        assert list(np.ma.getmaskarray(table["mass"])) == [False, False, True]
        assert [bool(one) for one in table["found"]] == [True, True, False]
        assert str(table["mass"].unit) == "solMass"
        assert np.allclose(np.asarray(table["mass"][:2]), 1.0, atol=0.011)
        assert np.allclose(np.asarray(table["mass_err"][:2]), 0.05 * np.asarray(table["mass"][:2]))
        assert set(table["method"][:2]) == {"synthetic: no science"}
        for row, star in enumerate(("heavy", "light")):
            manifest = site.manifest(star, "weigh", campaign=CAMPAIGN)
            told = tuple(table[f"weigh_{name}"][row] for name in ("attempt", "digest", "key"))
            assert told == (manifest["attemptId"], manifest["digest"], manifest["key"])
    folder = site.products / CAMPAIGN / ".catalogues" / "whole"
    assert {one.name for one in folder.iterdir()} == {
        "DP3.fits", "DP3.ecsv", "DP5.fits", "DP5.ecsv", "catalogue.json"
    }  # fmt: skip
    assert {one.stat().st_uid for one in (folder.parent, folder, *folder.iterdir())} == {10001}
    document = json.loads((folder / "catalogue.json").read_text())
    (makers,) = [one["modules"]["look"] for one in document["tables"] if one["name"] == "DP3"]
    ((maker, stars),) = makers.items()
    assert stars == 3
    assert "sha256:" in maker


def test_what_kubectl_shows(site: Site, catalogues: Catalogues) -> None:
    catalogues.create("shown", stars=["light"])
    catalogues.until("shown", state="Succeeded")
    table = kubectl("get", "scat", "shown", namespace=site.namespace).splitlines()
    assert table[0].split() == ["NAME", "CAMPAIGN", "PIPELINE", "STATE", "STARS", "PROBLEMS", "AGE"]
    assert table[1].split()[:6] == ["shown", CAMPAIGN, "weighing", "Succeeded", "1", "0"]
    assert "starcatalogue" in kubectl("get", "plato", "-o", "name", namespace=site.namespace)

    def told() -> bool:  # after the status
        described = kubectl("describe", "scat", "shown", namespace=site.namespace)
        return "rows: DP5 1, DP3 1" in described.partition("\nEvents:")[2]

    until(told, "the Event of the catalogue's success", 30)


def test_what_it_is_made_of_cannot_be_changed(catalogues: Catalogues) -> None:
    catalogues.create("fixed", stars=["light"])
    for field, value in (("campaign", "other"), ("pipeline", "other"), ("tables", TABLES[:1]), ("stars", None)):
        with pytest.raises(CommandFailed, match="immutable"):
            catalogues.patch("fixed", {field: value})
    catalogues.patch("fixed", {"timeout": "1h", "resources": {"memory": "256Mi"}})


@pytest.mark.parametrize(
    "column",
    [
        {"name": "x", "step": "look"},
        {"name": "x", "step": "look", "fact": "found", "output": "IDP_A"},
        {"name": "x", "step": "look", "fact": "found", "pointer": "/value"},
    ],
)
def test_a_column_that_comes_from_nowhere_is_refused(catalogues: Catalogues, column: Document) -> None:
    with pytest.raises(CommandFailed, match=r"fact and output|go with output"):
        catalogues.create("refused", tables=[{"name": "T", "columns": [column]}])


def test_a_column_that_no_step_makes_is_rejected_by_name(site: Site, catalogues: Catalogues) -> None:
    column = {"name": "mass", "step": "weigh", "fact": "mass"}
    catalogues.create("wrong", tables=[{"name": "DP5", "columns": [column]}])
    status = catalogues.until("wrong", state="Rejected")
    assert "spec.tables[DP5].columns[mass].fact: module 'weigh' declares no fact 'mass'" in status["message"]
    assert get("jobs", "--selector=plato-sas.io/catalogue=wrong", namespace=site.namespace) == []


def test_a_campaign_that_is_not_there_fails_with_the_last_line(catalogues: Catalogues) -> None:
    catalogues.create("nowhere", campaign="nowhere")
    status = catalogues.until("nowhere", state="Failed")
    assert status["message"] == "catalogue: error: campaign 'nowhere' has no folder in the product tree"
    assert status["exitCode"] == 2
    assert status["attempt"] == 1


def test_a_rerun_takes_in_what_is_new_and_leaves_out_what_was_changed(site: Site, catalogues: Catalogues) -> None:
    catalogues.create("again")
    first = catalogues.until("again", state="Succeeded")
    weighed(site, "late", True)
    product = site.products / CAMPAIGN / "late" / "weigh" / "DP5_SAS_MASS.h5"
    product.chmod(0o644)
    product.write_bytes(b"changed")
    catalogues.patch("again", {"rerun": {"id": 1}})
    second = catalogues.until("again", state="Succeeded", rerun=1)
    assert (second["attempt"], second["observedGeneration"]) == (2, 2)
    assert second["stars"] == {"seen": first["stars"]["seen"] + 1, "withoutProducts": 0, "withProblems": 1}
    left_out = {one["name"]: one["leftOut"] for one in second["tables"]}
    assert left_out == {"DP5": 1, "DP3": 0}
    assert "late" in catalogues.table(second, "DP3", "fits")["star"]
    problems = site.products / CAMPAIGN / ".catalogues" / "again" / "problems.txt"
    assert f"{CAMPAIGN}/late/weigh/DP5_SAS_MASS.h5: its SHA-256 is not the manifest's" in problems.read_text()


def test_a_deleted_job_is_made_again_and_a_restarted_operator_goes_on(site: Site, catalogues: Catalogues) -> None:
    # No node has so many CPUs: the Job stays where it is.
    catalogues.create("stubborn", stars=["heavy"], resources={"cpu": "900"})
    waiting = catalogues.until("stubborn", state="Running", attempt=1)
    kubectl("rollout", "restart", "deployment", "--selector=app.kubernetes.io/name=plato-sas", namespace=site.namespace)
    kubectl(
        "rollout", "status", "deployment", "--selector=app.kubernetes.io/name=plato-sas", "--timeout=120s",
        namespace=site.namespace, timeout=130,
    )  # fmt: skip
    catalogues.patch("stubborn", {"resources": {"cpu": "100m"}})
    held = catalogues.until("stubborn", observedGeneration=2)
    assert (held["job"], held["attempt"]) == (waiting["job"], 1), "the new one has found its predecessor's Job"
    assert "Unschedulable" in held["message"]
    kubectl("delete", "job", waiting["job"], "--wait=false", namespace=site.namespace)
    status = catalogues.until("stubborn", state="Succeeded")
    assert (status["attempt"], status["retries"]) == (2, {"Infrastructure": 1})
    assert catalogues.table(status, "DP5", "ecsv")["star"][0] == "heavy"
