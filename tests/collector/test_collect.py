"""A product tree becomes a catalogue, by the commands that the pod's containers run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from plato_sas.collector.order import ORDER_VARIABLE, CatalogueOrder
from plato_sas.collector.report import CatalogueReport, parse_report
from plato_sas.plan.catalogue.tables import build_order
from tests.support.catalogue import catalogue, sample_graph
from tests.support.tree import hdf5, publish_step

ATTEMPT = "q1-dp-catalogue-1"
Files = tuple[str, ...]
ALL: Files = ("DP3.ecsv", "DP3.fits", "DP5.ecsv", "DP5.fits", "catalogue.json")


class Pod:
    """The two containers' commands on a folder that stands for the volume's mounts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.products = root / "sas" / "products"
        self.products.mkdir(parents=True)
        (root / "dev").mkdir()
        for mount, target in (("campaign", "q1"), ("catalogues", "q1/.catalogues")):
            (root / "sas" / mount).symlink_to(self.products / target)
        self.folder = self.products / "q1" / ".catalogues" / "q1-dp"

    def star(self, name: str, *, mass: float | None = None, grade: object = 1, **fit: Any) -> None:
        """Both steps; without a mass the optional product is not there."""
        publish_step(self.products, "q1", name, "fit", facts={"found": mass is not None, "score": 0.5}, **fit)
        outputs = {"REPORT.json": json.dumps({"grade": grade}).encode()}
        if mass is not None:
            made = self.root / "product"
            outputs["DP5_SAS_MASS.h5"] = hdf5(made, "DP5_SAS_MASS", {"value": mass, "uncertainty": 0.1}, "Msun")
        publish_step(self.products, "q1", name, "choose", outputs=outputs)

    def run(self, action: str, order: CatalogueOrder) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SAS_ROOT": str(self.root), ORDER_VARIABLE: order.to_json()}
        command = [sys.executable, "-m", "plato_sas.collector", action]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def collect(self, **spec: Any) -> CatalogueReport:
        order = ordered(**spec)
        for action in ("prepare", "collect"):
            done = self.run(action, order)
            assert done.returncode == 0, done.stderr
        self.said = done.stdout
        found = parse_report((self.root / "dev" / "termination-log").read_text())
        assert found is not None
        return found

    def failed(self, **spec: Any) -> tuple[int, str]:
        """Exit code and standard error of the collector."""
        assert self.run("prepare", ordered(**spec)).returncode == 0
        done = self.run("collect", ordered(**spec))
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    def table(self, name: str) -> Table:
        return Table.read(self.folder / name)


def ordered(**spec: Any) -> CatalogueOrder:
    return build_order(catalogue(**spec), sample_graph(), "sas-test-1", ATTEMPT)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def both(pod: Pod, name: str, check: Callable[[Table], None]) -> None:
    """A check of a table in each of its formats."""
    for kind in ("fits", "ecsv"):
        check(pod.table(f"{name}.{kind}"))


def test_one_row_per_star_in_both_formats(pod: Pod) -> None:
    pod.star("b", mass=1.25, grade=7)
    pod.star("a")
    report = pod.collect()
    assert report[:3] == (2, 0, 0)
    assert [(one.name, one.rows, one.left_out) for one in report.tables] == [("DP3", 2, 0), ("DP5", 2, 0)]
    assert tuple(sorted(one.name for one in pod.folder.iterdir())) == ALL

    def check(table: Table) -> None:
        assert list(table["star"]) == ["a", "b"]
        assert list(table["mass"].mask) == [True, False]
        assert (table["mass"][1], table["mass_err"][1]) == (1.25, 0.1)
        assert str(table["mass"].unit) == "solMass"
        assert list(table["grade"]) == [1, 7]
        assert list(table["choose_attempt"]) == ["a-choose-1", "b-choose-1"]
        manifest = json.loads((pod.products / "q1/b/choose/manifest.json").read_text())
        assert (table["choose_digest"][1], table["choose_key"][1]) == (manifest["digest"], manifest["key"])

    both(pod, "DP5", check)
    both(pod, "DP3", lambda table: [*map(bool, table["found"])] == [False, True] or pytest.fail("found"))


def test_the_files_tell_what_they_are(pod: Pod) -> None:
    pod.star("a", mass=1.0)
    report = pod.collect()
    with fits.open(pod.folder / "DP5.fits") as file:
        file.verify("exception")
        header = file[1].header
    assert (header["EXTNAME"], header["CAMPAIGN"], header["PIPELINE"]) == ("DP5", "q1", "sas-test")
    assert (header["CATALOG"], header["ATTEMPT"], header["STARS"]) == ("q1-dp", ATTEMPT, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", header["DATE"])
    assert header["TCOMM2"] == "Mass"
    comments = "\n".join(header["COMMENT"])
    assert "step choose: choose 0.1.0 (sha256:1): 1 stars" in comments
    assert "written with astropy" in comments
    ecsv = pod.table("DP5.ecsv")
    assert ecsv["mass"].description == "Mass"
    assert ecsv.meta["description"] == "Masses"
    assert ecsv.meta["modules"] == {"choose": {"choose 0.1.0 (sha256:1)": 1}}
    assert ecsv.meta["revision"] == "sas-test-1"
    document = json.loads((pod.folder / "catalogue.json").read_text())
    assert document["stars"] == {"seen": 1, "withoutProducts": 0, "withProblems": 0}
    for table, told in zip(document["tables"], report.tables, strict=True):
        for kind, digest in zip(("fits", "ecsv"), told.sha256, strict=True):
            path = pod.folder / table["files"][kind]["path"]
            assert table["files"][kind]["sha256"] == digest == sha256(path.read_bytes()).hexdigest()
            assert path.stat().st_mode & 0o777 == 0o444


def test_missing_values_are_masked_whatever_their_type(pod: Pod) -> None:
    publish_step(pod.products, "q1", "a", "fit", facts={})
    publish_step(pod.products, "q1", "b", "fit", facts={"found": False, "score": 0.0})
    publish_step(pod.products, "q1", "b", "choose", outputs={"REPORT.json": b'{"grade": 0, "word": "w"}'})
    word = {"name": "word", "step": "choose", "output": "REPORT", "pointer": "/word", "type": "string"}
    grade = {"name": "grade", "step": "choose", "output": "REPORT", "pointer": "/grade", "type": "integer"}
    columns = [
        {"name": "found", "step": "fit", "fact": "found"},
        {"name": "score", "step": "fit", "fact": "score"},
        grade,
        word,
    ]
    pod.collect(tables=[{"name": "T", "columns": columns}])

    def check(table: Table) -> None:
        for name in ("found", "score", "grade", "word", "choose_attempt", "choose_digest", "choose_key"):
            assert list(np.ma.getmaskarray(table[name])) == [True, False], name
        assert (bool(table["found"][1]), table["score"][1], table["grade"][1], table["word"][1]) == (False, 0, 0, "w")
        assert not np.ma.getmaskarray(table["fit_attempt"]).any()

    both(pod, "T", check)


def test_a_star_without_any_product_has_no_row(pod: Pod) -> None:
    pod.star("a", mass=1.0)
    (pod.products / "q1" / "b" / ".logs").mkdir(parents=True)
    (pod.products / "q1" / "c.txt").write_text("no star")
    publish_step(pod.products, "q1", "d", "another")
    report = pod.collect()
    assert report[:3] == (3, 2, 0)
    assert [table.rows for table in report.tables] == [1, 1]


def test_chosen_stars_alone(pod: Pod) -> None:
    for name in ("a", "b", "c"):
        pod.star(name, mass=1.0)
    report = pod.collect(stars=["c", "a", "z"])
    assert report[:3] == (3, 1, 0)
    assert list(pod.table("DP5.fits")["star"]) == ["a", "c"]


def spoil(pod: Pod, star: str, how: str) -> str:
    """Damage one star's step `choose`; gives what the problem must say."""
    folder = pod.products / "q1" / star / "choose"
    manifest = folder / "manifest.json"
    document = json.loads(manifest.read_text())
    match how:
        case "no JSON":
            manifest.write_text("{")
            return "q1/bad/choose/manifest.json: is missing, or not a manifest"
        case "no manifest":
            manifest.unlink()
            return "q1/bad/choose/manifest.json: is missing, or not a manifest"
        case "another star's":
            manifest.write_text(json.dumps({**document, "star": "good"}))
            return "q1/bad/choose/manifest.json: star is 'good', not 'bad'"
        case "another module's":
            manifest.write_text(json.dumps({**document, "module": {"name": "other"}}))
            return "q1/bad/choose/manifest.json: made by module 'other'; the pipeline's step has 'choose'"
        case "no product":
            (folder / "REPORT.json").unlink()
            return "q1/bad/choose/REPORT.json: is missing, although the manifest names it"
        case "changed product":
            (folder / "REPORT.json").write_text("{}")
            return "q1/bad/choose/REPORT.json: its SHA-256 is not the manifest's"
        case "a link":
            (folder / "REPORT.json").unlink()
            (folder / "REPORT.json").symlink_to(pod.products / "q1/good/choose/REPORT.json")
            return "q1/bad/choose/REPORT.json: REPORT.json cannot be opened as a regular file"
        case "a path":
            document["outputs"]["REPORT"]["path"] = "../../good/choose/REPORT.json"
            manifest.write_text(json.dumps(document))
            return "q1/bad/choose/manifest.json: is missing, or not a manifest"
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        "no JSON", "no manifest", "another star's", "another module's", "no product", "changed product", "a link",
        "a path",
    ],
)  # fmt: skip
def test_an_unsound_product_is_a_problem_and_no_crash(pod: Pod, how: str) -> None:
    pod.star("bad", mass=1.0)
    pod.star("good", mass=2.0)
    told = spoil(pod, "bad", how)
    report = pod.collect()
    assert report[:3] == (2, 0, 1)
    assert [(one.rows, one.left_out) for one in report.tables] == [(2, 0), (1, 1)], "its other step is sound"
    assert list(pod.table("DP5.fits")["star"]) == ["good"]
    assert told in pod.said
    (line,) = (pod.folder / "problems.txt").read_text().splitlines()
    assert told in line


def test_a_value_of_another_type_names_file_and_column(pod: Pod) -> None:
    pod.star("bad", mass=1.0, grade="high")
    pod.star("good", mass=2.0)
    pod.collect()
    problem = (pod.folder / "problems.txt").read_text()
    assert problem == 'q1/bad/choose/REPORT.json: column grade: REPORT: /grade: "high" is not of type integer\n'


def test_only_some_problems_are_said_and_all_are_written(pod: Pod) -> None:
    pod.star("good", mass=1.0)
    for number in range(25):
        pod.star(f"bad{number:02}", grade="x")
    assert pod.collect().with_problems == 25
    assert pod.said.count("problem: ") == 20
    assert "further problems are in problems.txt" in pod.said
    assert len((pod.folder / "problems.txt").read_text().splitlines()) == 25


def test_progress_is_told(pod: Pod) -> None:
    for number in range(70):
        pod.star(f"s{number:02}", mass=1.0)
    pod.collect()
    assert "campaign q1: 70 stars, steps fit, choose" in pod.said
    assert "read 70/70 stars" in pod.said
    assert "DP5: 70 rows, 0 left out" in pod.said
    assert pod.said.splitlines()[-1].endswith("published q1/.catalogues/q1-dp")
    assert list(pod.table("DP3.ecsv")["star"]) == [f"s{number:02}" for number in range(70)]


def test_a_new_catalogue_takes_the_place_of_the_old_one(pod: Pod) -> None:
    pod.star("a", mass=1.0, grade="x")
    pod.star("b", mass=1.0)
    pod.collect()
    assert (pod.folder / "problems.txt").exists()
    old = pod.folder / "DP5.fits"
    with old.open("rb") as held:
        pod.collect(tables=[{"name": "DP5", "columns": [{"name": "found", "step": "fit", "fact": "found"}]}])
        assert held.read(6) == b"SIMPLE", "who had it open goes on reading the old one"
    assert tuple(sorted(one.name for one in pod.folder.iterdir())) == ("DP5.ecsv", "DP5.fits", "catalogue.json")
    assert list((pod.folder.parent / ".attempts").iterdir()) == []


def test_what_a_killed_attempt_left_is_removed_and_the_old_catalogue_stays(pod: Pod) -> None:
    pod.star("a", mass=1.0)
    pod.collect()
    left = pod.folder.parent / ".attempts" / "q1-dp" / "q1-dp-catalogue-0"
    left.mkdir(parents=True)
    (left / ".DP3.rows").write_text("x")
    (pod.products / "q1" / "a" / "choose" / "manifest.json").write_text("{")
    (pod.products / "q1" / "a" / "fit" / "manifest.json").write_text("{")
    code, error = pod.failed()
    assert code == 2
    assert "no table has a row: 2 problems, the first: q1/a/fit/manifest.json" in error
    assert not left.exists()
    assert tuple(sorted(one.name for one in pod.folder.iterdir())) == ALL


def test_a_campaign_that_is_not_there_fails_in_one_line(pod: Pod) -> None:
    done = pod.run("prepare", ordered())
    assert done.returncode == 2
    assert done.stderr == "catalogue: error: campaign 'q1' has no folder in the product tree\n"


def test_a_campaign_without_products_fails_in_one_line(pod: Pod) -> None:
    (pod.products / "q1" / "a").mkdir(parents=True)
    assert pod.failed() == (2, "catalogue: error: campaign 'q1': none of 1 stars has products of fit, choose\n")


def test_a_volume_at_fault_is_a_temporary_failure(pod: Pod) -> None:
    pod.star("a", mass=1.0)
    assert pod.run("prepare", ordered()).returncode == 0
    (pod.root / "sas" / "catalogues").unlink()
    (pod.root / "sas" / "catalogues").write_text("not a folder")
    done = pod.run("collect", ordered())
    assert done.returncode == 75
    assert done.stderr.startswith("catalogue: error: ")


def test_without_an_order_it_says_so(pod: Pod) -> None:
    environment = {**os.environ, "SAS_ROOT": str(pod.root)}
    command = [sys.executable, "-m", "plato_sas.collector", "collect"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        f"catalogue: error: the environment variable {ORDER_VARIABLE} is not set\n",
    )
