"""Every command of the pipeline operator's guide, run by somebody who has the Role that the guide names."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.kubernetes import kubectl, run
from e2e.layout import REPOSITORY
from e2e.processes.command import CommandFailed
from e2e.reading import reader
from e2e.tests.site import Site, states, steps, until
from plato_sas.api import Document

GUIDE = (REPOSITORY / "docs" / "guides" / "operator-guide.md").read_text()
USER = "guide-reader"
STAR = "guide-star"
STEP = "one"
_LOCAL = ("config",)  # changes the reader's own kubeconfig
_ENDLESS = ("--watch", "-f")  # left out, except for the -f of `apply`


def _commands() -> list[str]:
    """The guide's calls of kubectl: those of each block, then those inside its text; what deletes comes last."""
    blocks = re.findall(r"^```console\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    written = [found[1] for line in lines for found in re.finditer(r"(kubectl [^|#]*)", line)]
    prose = re.sub(r"^```.*?^```", "", GUIDE, flags=re.MULTILINE | re.DOTALL)
    written += re.findall(r"`(kubectl [a-z]+ [^`]+)`", prose)
    found = dict.fromkeys(one.strip() for one in written)
    return sorted(found, key=lambda one: one.startswith("kubectl delete"))


COMMANDS = _commands()


def _document(kind: str) -> dict[str, Any]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    return next(found for found in map(yaml.safe_load, blocks) if isinstance(found, dict) and found.get("kind") == kind)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the guide shows."""
    folder = tmp_path_factory.mktemp("guide")
    star = _document("StarProcessing")
    star["spec"]["campaign"] = "guide"
    catalogue = _document("StarCatalogue")
    column = {"name": "found", "step": STEP, "fact": "found"}
    catalogue["spec"] = {"campaign": "e2e", "pipeline": "guide", "tables": [{"name": "DP4", "columns": [column]}]}
    (folder / "star.yaml").write_text(yaml.safe_dump(star))
    (folder / "q1-rotation.yaml").write_text(yaml.safe_dump(catalogue))
    return folder


@pytest.fixture(scope="module")
def job(site: Site) -> Iterator[str]:
    """The Job of a star that has ended well; USER has the Role."""
    kubectl("create", "rolebinding", USER, "--role=plato-sas-user", f"--user={USER}", namespace=site.namespace)
    site.synthetic("guide-module", outputs=["GUIDE"], facts=[{"name": "found", "type": "boolean"}])
    site.pipeline("guide", [{"name": STEP, "module": "guide-module"}])
    site.start(STAR, pipeline="guide", parameters={STEP: {"facts": '{"found": true}'}})
    status = site.finished(STAR)
    assert states(status) == {STEP: "Succeeded"}
    yield str(steps(status)[STEP]["job"])
    made = ("starprocessing/kic-6603624-q1", f"starprocessing/{STAR}", "starcatalogue/q1-rotation")
    kubectl("delete", "--ignore-not-found", *made, f"rolebinding/{USER}", namespace=site.namespace)


def test_the_guide_has_commands() -> None:
    assert len(COMMANDS) > 20
    assert any("patch scat" in one for one in COMMANDS)


def test_each_command_of_the_guide_works_with_the_users_role(site: Site, job: str, files: Path) -> None:
    """One after the other, since some look at what others have made."""
    failed = {}
    for command in COMMANDS:
        try:
            _run(site, files, _for_this_star(command, job))
        except CommandFailed as error:
            failed[command] = str(error)
    assert failed == {}


def test_the_role_is_for_stars_and_catalogues_only(site: Site, job: str) -> None:
    assert job
    for arguments in (
        ("get", "secrets"),
        ("delete", "jobs", "--all", "--dry-run=server"),
        ("patch", "sciencemodule", "guide-module", "--type=merge", "-p={}"),
        ("patch", "starprocessing", STAR, "--subresource=status", "--type=merge", "-p={}"),
        ("get", "starprocessings", "--all-namespaces"),
    ):
        with pytest.raises(CommandFailed, match=r"(?i)forbidden"):
            kubectl(f"--as={USER}", *arguments, namespace=site.namespace)


def _for_this_star(command: str, job: str) -> list[str]:
    """The arguments of kubectl, with the names of what there is in place of those that the guide leaves open."""
    words = shlex.split(command)[1:]
    names = {"JOB": job, "job/JOB": f"job/{job}", "{}": STAR, "step-msap3-03": f"step-{STEP}"}
    names["NAME"] = "guide-module" if "scimod" in words else STAR
    if words[:2] == ["get", "spl"] and len(words) > 2:
        names["sas-demo"] = "guide"
    return [names.get(word, word) for word in words if word not in _ENDLESS or words[0] == "apply"]


def _run(site: Site, folder: Path, arguments: list[str]) -> None:
    if arguments[0] in _LOCAL:
        return
    if arguments[0] == "logs" and "--selector" in arguments:
        # A container has no log before it begins.
        until(lambda: _catalogue(site).get("finishedAt"), "the catalogue has ended", 120)
    placed = [str(folder / one) if (folder / one).is_file() else one for one in arguments]
    run("kubectl", f"--as={USER}", f"--namespace={site.namespace}", *placed)


def _catalogue(site: Site) -> Document:
    status: Document = reader().one("starcatalogues", "q1-rotation", site.namespace).get("status", {})
    return status
