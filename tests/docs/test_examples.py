"""The examples of the documents are valid, and do what the text says."""

import ast
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from astropy.table import Table

from plato_sas.api import ScienceModule, ScienceModuleSpec, StarCatalogue, StarPipeline, StarProcessing
from plato_sas.plan.catalogue.tables import table_problems
from plato_sas.plan.graph.graph import build_graph
from plato_sas.plan.star.acceptance import problems
from plato_sas.stager.description import FactDescription, OutputDescription, PublishOrder, Stage, StepDescription
from plato_sas.stager.publish import publish
from plato_sas.stager.record import AttemptRecord
from plato_sas.stager.roots import Roots
from sas_products import Scalar
from sas_products.scalar import write_scalars

Fenced = Callable[[str, str], list[str]]
Document = dict[str, Any]

_KINDS = {kind.__name__: kind for kind in (ScienceModule, StarPipeline, StarProcessing, StarCatalogue)}
_AUTHOR, _SCIENTIST, _AIRFLOW = (f"docs/guides/{one}-guide.md" for one in ("module-author", "scientist", "airflow"))
_CURVE = "IDP_SAS_VARLC_BINNED"


def resources(documents: Mapping[str, str], fenced: Fenced) -> Iterator[tuple[str, Document]]:
    """Every resource of this project in a YAML block, with its document."""
    for path in documents:
        for block in fenced(path, "yaml"):
            for content in yaml.safe_load_all(block):
                if str(content.get("apiVersion", "")).startswith("plato-sas.io/"):
                    yield path, content


def catalogue(repository: Path, documents: Mapping[str, str], fenced: Fenced) -> dict[str, ScienceModuleSpec]:
    """The repository's modules and those of the examples."""
    texts = [path.read_text() for path in repository.glob("modules/*/module.yaml")]
    found = [content for text in texts for content in yaml.safe_load_all(text)]
    found += [content for _, content in resources(documents, fenced) if content["kind"] == "ScienceModule"]
    modules = map(ScienceModule.model_validate, found)
    return {module.metadata.name: module.spec for module in modules}


def test_resources_fit_the_models(documents: Mapping[str, str], fenced: Fenced) -> None:
    found = list(resources(documents, fenced))
    assert {content["kind"] for _, content in found} == _KINDS.keys()
    for _, content in found:
        _KINDS[content["kind"]].model_validate(content)


def test_pipelines_are_sound_and_stars_and_catalogues_fit_theirs(
    repository: Path, documents: Mapping[str, str], fenced: Fenced
) -> None:
    modules = catalogue(repository, documents, fenced)
    found = [content for _, content in resources(documents, fenced)]
    stored = [yaml.safe_load(path.read_text()) for path in repository.glob("manifests/pipelines/*.yaml")]
    pipelines = [StarPipeline.model_validate(one) for one in (*found, *stored) if one["kind"] == "StarPipeline"]
    graphs = {one.metadata.name: build_graph(one.metadata.name, one.spec, modules) for one in pipelines}
    assert "rms-demo" in graphs
    for content in found:
        if content["kind"] == "StarProcessing":
            star = StarProcessing.model_validate(content)
            assert problems(star.spec, graphs[star.spec.pipeline]) == []
    catalogues = [yaml.safe_load(path.read_text()) for path in repository.glob("airflow_dags/dags/catalogues/*.yaml")]
    assert len(catalogues) == len(stored), "each pipeline has its tables"
    for content in (*found, *catalogues):
        if content["kind"] == "StarCatalogue":
            spec = StarCatalogue.model_validate(content).spec
            assert table_problems(spec, graphs[spec.pipeline]) == []


# The module of the author's guide.


@pytest.fixture
def rms(fenced: Fenced, tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Runs the example in `tmp_path` as `SAS_ROOT`."""
    program = tmp_path / "rms.py"
    program.write_text(fenced(_AUTHOR, "python")[0])
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "params.json").write_text('{"variable_ppm": 500.0}')
    environment = {**os.environ, "SAS_ROOT": str(tmp_path), "SAS_STAR": "s-1", "SAS_STEP": "rms"}

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


def write_curve(path: Path, flux: list[float]) -> None:
    with h5py.File(path, "w") as file:
        file[f"PRODUCTS/{_CURVE}/flux"] = np.array(flux)


def test_the_example_module_keeps_its_contract(
    rms: Callable[[], subprocess.CompletedProcess[str]],
    documents: Mapping[str, str],
    fenced: Fenced,
    tmp_path: Path,
) -> None:
    """What it writes is published by the manager's own code under the declaration that the guide gives."""
    write_curve(tmp_path / "in" / _CURVE, [600.0, -600.0] * 100)
    assert rms().returncode == 0
    module = ScienceModule.model_validate(yaml.safe_load(fenced(_AUTHOR, "yaml")[0])).spec
    step = StepDescription(
        "rms", "rms", module.version, module.image, attempt=1, seed=1,
        outputs=[OutputDescription(one.name, one.file_name, one.optional) for one in module.outputs],
        facts=[FactDescription(one.name, one.type.value) for one in module.facts],
    )  # fmt: skip
    stage = Stage("attempt", "s-1", "q1", processing="uid", rerun=0, steps=[step])
    roots = Roots(tmp_path / "inputs", tmp_path / "products", tmp_path / "work", tmp_path / "log")
    attempt = roots.products / stage.attempt_folder
    attempt.mkdir(parents=True)
    AttemptRecord(stage, {}).write(attempt)
    (tmp_path / "out").rename(attempt / "rms")
    report = publish(PublishOrder("q1", "s-1", "attempt", ["rms"]), roots).steps["rms"]
    assert report.facts == {"rms_ppm": 600.0, "variable": True}
    assert report.missing == []
    manifest = json.loads((roots.products / "q1" / "s-1" / "rms" / "manifest.json").read_text())
    assert manifest["undeclaredFilesRemoved"] == 0
    table = documents["docs/specification.md"].partition("### 4.7 ")[2].partition("### 4.8 ")[0]
    fields = "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))
    assert set(re.findall(r"`(\w+)(?:\.<name>)?`", fields)) == manifest.keys() | {"reusedFrom"}


@pytest.mark.parametrize(
    ("content", "code", "message"), [(None, 2, _CURVE), (b"no HDF5", 2, _CURVE), ([1.0] * 9, 3, "9 samples")]
)
def test_the_example_module_says_what_is_wrong(
    rms: Callable[[], subprocess.CompletedProcess[str]], tmp_path: Path, content: Any, code: int, message: str
) -> None:
    path = tmp_path / "in" / _CURVE
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write_curve(path, content)
    done = rms()
    assert done.returncode == code
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("rms: error: ")
    assert message in line


def test_the_run_by_hand_sets_what_the_contract_does(documents: Mapping[str, str], fenced: Fenced) -> None:
    (block,) = fenced(_AUTHOR, "bash")
    words = shlex.split(block.replace("\\\n", " "), comments=True)
    given = {word.partition("=")[0] for word in words if word.startswith("SAS_")}
    promised = set(re.findall(r"`(SAS_[A-Z]+)`", documents["docs/specification.md"].partition("### 4.2")[0]))
    assert given == promised
    mounts = {word.split(":")[1] for word in words if ":/sas/" in word}
    assert mounts == {"/sas/in", "/sas/out", "/sas/params.json"}


# The snippets of the scientist's guide.


@pytest.fixture
def snippets(fenced: Fenced) -> Document:
    """The functions that the guide defines."""
    reading, _, _, walking = fenced(_SCIENTIST, "python")
    space: Document = {}
    for block in (reading, walking):
        exec(compile(block, _SCIENTIST, "exec"), space)
    return space


def published(products: Path, step: str, product: str, inputs: Document) -> Path:
    """A step's folder as the SAS writes it; gives the product's file."""
    folder = products / "q1" / "s-1" / step
    folder.mkdir(parents=True)
    path = folder / f"{product}.h5"
    write_scalars(path, product, Scalar(2370.0, "uHz", 12.0), {"SAS_STAR": "s-1"})
    outputs = {product: {"path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    (folder / "manifest.json").write_text(json.dumps({"inputs": inputs, "outputs": outputs}))
    return path


def test_a_product_is_read_as_the_guide_says(snippets: Document, tmp_path: Path) -> None:
    path = published(tmp_path, "msap3-03", "DP3_SAS_NU_MAX", {})
    read = snippets["read_value"]
    assert read(tmp_path, "q1", "s-1", "msap3-03", "DP3_SAS_NU_MAX") == (2370.0, 12.0, "uHz")
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="was changed after publication"):
        read(tmp_path, "q1", "s-1", "msap3-03", "DP3_SAS_NU_MAX")


def test_origins_are_found_through_the_manifests(snippets: Document, tmp_path: Path) -> None:
    curve = {"volume": "inputs", "path": "s-1/DP1_LC_MERGED.h5", "sha256": "0" * 64}
    made = {"volume": "products", "path": "q1/s-1/msap1/IDP_SAS_AARPSD.h5", "sha256": "1" * 64}
    published(tmp_path, "msap1", "IDP_SAS_AARPSD", {"DP1_LC_MERGED": curve})
    published(tmp_path, "msap3-03", "DP3_SAS_NU_MAX", {"IDP_SAS_AARPSD": made})
    assert list(snippets["origins"](tmp_path, "q1/s-1/msap3-03")) == [f"s-1/DP1_LC_MERGED.h5 {'0' * 64}"]


def test_a_catalogue_is_read_as_the_guide_says(fenced: Fenced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = [one for one in fenced(_SCIENTIST, "python") if ".catalogues" in one]
    path = next(Path(found) for found in re.findall(r'"(\.local/[^"]+)"', block)) / "DP5.fits"
    path.parent.mkdir(parents=True)
    Table({"star": ["a", "b"], "mass": np.array([np.nan, 1.25])}).write(path)
    space: Document = {}
    exec(compile(block, _SCIENTIST, "exec"), space)
    assert list(space["measured"]["star"]) == ["b"]


def test_the_products_of_the_table_are_those_of_the_catalogue(repository: Path, documents: Mapping[str, str]) -> None:
    rows = re.findall(r"^\| (msap\d[\w-]*) \| (.*) \|$", documents[_SCIENTIST], re.MULTILINE)
    told = {step: set(re.findall(r"`(\w+)`", products)) for step, products in rows}
    texts = [path.read_text() for path in repository.glob("modules/*/module.yaml")]
    found = [one for text in texts for one in yaml.safe_load_all(text)]
    modules = [one for one in found if not one["metadata"]["name"].startswith("synthetic-")]
    assert told == {one["metadata"]["name"]: {out["name"] for out in one["spec"]["outputs"]} for one in modules}


# The DAG of the Airflow guide.


def test_the_dag_uses_the_operators_own_parameters(
    repository: Path, fenced: Fenced, documents: Mapping[str, str]
) -> None:
    source = ast.parse((repository / "airflow_dags/plato_sas_airflow/operators/star_batch.py").read_text())
    (constructor,) = (
        method
        for node in source.body if isinstance(node, ast.ClassDef) and node.name == "StarBatchOperator"
        for method in node.body if isinstance(method, ast.FunctionDef) and method.name == "__init__"
    )  # fmt: skip
    accepted = {argument.arg for argument in constructor.args.kwonlyargs}
    calls = [
        node
        for block in fenced(_AIRFLOW, "python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "StarBatchOperator"
    ]
    assert calls
    for call in calls:
        assert {keyword.arg for keyword in call.keywords} - accepted == {"task_id"}
    table = documents[_AIRFLOW].partition("| parameter of `StarBatchOperator`")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))) == accepted
