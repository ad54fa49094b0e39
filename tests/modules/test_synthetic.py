"""The synthetic image's module, as a process of its own: what it checks, what it writes, how it misbehaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sas_products import Column, open_product, read_scalar, write_product

RUN = Path(__file__).resolve().parents[2] / "modules" / "synthetic" / "run.py"
BARE = [sys.executable, "-I", "-S", "-B", "-X", "frozen_modules=on", str(RUN)]
ENVIRONMENT = {"SAS_STAR": "s-1", "SAS_CAMPAIGN": "q1", "SAS_STEP": "msap4-04", "SAS_SEED": "7", "SAS_ATTEMPT": "1"}
Parameters = dict[str, bool | int | float | str]


class Folder:
    """A step's /sas, and runs in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("in", "out"):
            (root / name).mkdir(parents=True)

    def command(self, parameters: Parameters, *words: str) -> list[str]:
        (self.root / "params.json").write_text(json.dumps(parameters))
        return [*BARE, f"--root={self.root}", *words]

    def run(self, *words: str, variables: dict[str, str] | None = None, **parameters: bool | int | float | str):
        return subprocess.run(
            self.command(parameters, *words), env=ENVIRONMENT | (variables or {}),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, **parameters: bool | int | float | str) -> Iterator["subprocess.Popen[str]"]:
        process = subprocess.Popen(
            self.command(parameters), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def out(self, name: str) -> bytes:
        return (self.root / "out" / name).read_bytes()

    def made(self) -> set[str]:
        return {path.name for path in (self.root / "out").iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "sas")


def test_a_product_is_hdf5_in_the_declared_layout_and_openly_synthetic(folder: Folder) -> None:
    done = folder.run("--output=IDP_SAS_LOGG_FLIPER.h5", "--value=IDP_SAS_LOGG_FLIPER=4.4:dex", "--output=report.txt")
    assert (done.returncode, done.stderr) == (0, "")
    path = folder.root / "out/IDP_SAS_LOGG_FLIPER.h5"
    scalar = read_scalar(path, "IDP_SAS_LOGG_FLIPER")
    assert scalar.unit == "dex"
    assert scalar.value == pytest.approx(4.4, rel=0.011)
    assert scalar.uncertainty == pytest.approx(0.05 * scalar.value)
    with open_product(path, "IDP_SAS_LOGG_FLIPER") as group:
        assert group.attribute("SAS_STAR") == "s-1"
        assert group.attribute("SAS_STEP") == "msap4-04"
        assert group.attribute("method") == "synthetic: no science"
    assert json.loads(folder.out("report.txt"))["star"] == "s-1"
    assert folder.made() == {"IDP_SAS_LOGG_FLIPER.h5", "report.txt", "facts.json"}
    assert folder.out("facts.json") == b"{}"


def test_an_external_product_has_the_group_of_one(folder: Folder) -> None:
    assert folder.run("--output=PFU_SPECTRUM.h5").returncode == 0
    assert read_scalar(folder.root / "out/PFU_SPECTRUM.h5", "PFU_SPECTRUM").unit == ""


@pytest.mark.parametrize(
    ("variables", "parameters", "content", "same"),
    [
        ({}, {}, b"flux", True),
        ({"SAS_CAMPAIGN": "q2", "SAS_ATTEMPT": "2"}, {}, b"flux", True),
        ({"SAS_STAR": "s-2"}, {}, b"flux", False),
        ({"SAS_STEP": "msap4-06"}, {}, b"flux", False),
        ({"SAS_SEED": "8"}, {}, b"flux", False),
        ({}, {"true_share": 0.5}, b"flux", False),
        ({}, {}, b"flux of another day", False),
    ],
)
def test_content_follows_what_it_was_made_from(
    folder: Folder, variables: dict[str, str], parameters: Parameters, content: bytes, same: bool
) -> None:
    words = ("--output=A.h5", "--output=A.txt")
    (folder.root / "in/DP1").write_bytes(b"flux")
    assert folder.run(*words).returncode == 0
    before = folder.out("A.h5"), folder.out("A.txt")
    (folder.root / "in/DP1").write_bytes(content)
    assert folder.run(*words, variables=variables, **parameters).returncode == 0
    assert [old == new for old, new in zip(before, (folder.out("A.h5"), folder.out("A.txt")), strict=True)] == [
        same,
        same,
    ]


@pytest.mark.parametrize("product", ["A.h5", "A.txt"])
def test_the_product_of_another_star_is_refused_and_nothing_written(
    folder: Folder, tmp_path: Path, product: str
) -> None:
    other = Folder(tmp_path / "other")
    for star, code in (("s-1", 0), ("s-2", 2)):
        assert other.run(f"--output={product}", variables={"SAS_STAR": star, "SAS_STEP": "one"}).returncode == 0
        (folder.root / "in/A").write_bytes(other.out(product))
        done = folder.run("--output=B.h5")
        assert done.returncode == code
        assert folder.made() == ({"B.h5", "facts.json"} if code == 0 else set())
        for path in (folder.root / "out").iterdir():
            path.unlink()
    assert done.stderr == "synthetic: error: A: made for star 's-2' by step 'one', this is star 's-1'\n"


def test_products_of_real_modules_are_taken(folder: Folder) -> None:
    write_product(folder.root / "in/DP3_SAS_NU_MAX", "DP3_SAS_NU_MAX", {"value": Column(1.0)}, {"SAS_STAR": "other"})
    assert folder.run("--input=DP3_SAS_NU_MAX").returncode == 0


def test_inputs_that_are_not_there_or_not_files_are_named(folder: Folder, tmp_path: Path) -> None:
    path = folder.root / "in/IDP_A"
    expected = {
        "missing": (lambda: None, "input file is missing"),
        "empty": (lambda: path.write_bytes(b""), "is empty"),
        "folder": (lambda: path.mkdir(), "is not a regular file"),
        "link": (lambda: path.symlink_to("nowhere"), "is not a regular file"),
    }
    for make, told in expected.values():
        make()
        done = folder.run("--input=IDP_A", "--output=B.h5")
        assert done.returncode == 2
        assert done.stderr.startswith("synthetic: error: IDP_A: ")
        assert told in done.stderr
        assert folder.made() == set()
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def test_facts_are_drawn_for_the_star_and_overridden(folder: Folder) -> None:
    words = ("--fact=flag:boolean", "--fact=modes:integer", "--fact=share:number", "--fact=text:string")
    flags = []
    for number in range(40):
        assert folder.run(*words, variables={"SAS_STAR": f"s-{number}"}, true_share=0.5).returncode == 0
        facts = json.loads(folder.out("facts.json"))
        assert {name: type(value) for name, value in facts.items()} == {
            "flag": bool, "modes": int, "share": float, "text": str
        }  # fmt: skip
        flags.append(facts["flag"])
    assert 8 <= sum(flags) <= 32  # 20 +- 3.2: further than 3.7 sigma is no draw
    assert folder.run(*words, true_share=0.0, facts='{"modes": 5}').returncode == 0
    assert json.loads(folder.out("facts.json")) | {"share": 0, "text": ""} == {
        "flag": False, "modes": 5, "share": 0, "text": ""
    }  # fmt: skip
    assert folder.run(*words, facts="[1]").returncode == 4


def test_without_declared_facts_the_parameter_is_written_as_it_is(folder: Folder) -> None:
    assert folder.run(facts="garbage").returncode == 0
    assert folder.out("facts.json") == b"garbage"


@pytest.mark.parametrize(
    ("words", "params", "told"),
    [
        (("--outputs=A",), "{}", "argument '--outputs=A': no such option"),
        (("--value=A=x",), "{}", "argument '--value=A=x': 'x' is not a number"),
        (("--fact=a:bool",), "{}", "argument '--fact=a:bool': 'bool' is no type of a fact"),
        ((), "{", "params.json: not JSON"),
        ((), "{} {}", "params.json: expected one JSON object"),
        ((), '{"children": 65}', "params.json: children: 65 is not between 0 and 64"),
    ],
)
def test_bad_arguments_and_parameters_are_named(folder: Folder, words: tuple[str, ...], params: str, told: str) -> None:
    command = folder.command({}, *words)
    (folder.root / "params.json").write_text(params)
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert told in done.stderr


def test_failures_come_before_the_output_or_after_it(folder: Folder) -> None:
    done = folder.run("--output=A.h5", exit_code=3, message="flux: all bad")
    assert (done.returncode, done.stderr, folder.made()) == (3, "flux: all bad\n", set())
    assert folder.run("--output=A.h5", exit_code=75, failures=1, variables={"SAS_ATTEMPT": "2"}).returncode == 0
    (folder.root / "out/A.h5").unlink()
    assert folder.run("--output=A.h5", exit_code=3, crash_after_output=True).returncode == 3
    assert "A.h5" in folder.made()
    for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGTERM):
        assert folder.run(exit_signal=int(number)).returncode == -number


def test_silent_writes_nothing(folder: Folder) -> None:
    assert folder.run("--output=A.h5", silent=True).returncode == 0
    assert folder.made() == set()


@pytest.mark.parametrize("deaf", [False, True])
def test_a_hanging_module_heeds_sigterm_or_not(folder: Folder, deaf: bool) -> None:
    with folder.running(hang=True, ignore_sigterm=deaf, print_mib=1) as process:
        assert process.stderr is not None
        process.stderr.read(1024)  # it handles SIGTERM before it prints
        process.terminate()
        if deaf:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
        else:
            assert process.wait(10) == 128 + signal.SIGTERM


def test_it_prints_as_much_as_it_is_told(folder: Folder) -> None:
    done = folder.run(print_mib=3)
    assert len(done.stderr) == 3 << 20
    assert {len(line) for line in done.stderr.splitlines()} == {1023}


def test_it_writes_many_files(folder: Folder) -> None:
    assert folder.run("--output=A.h5", write_files=2000).returncode == 0
    assert len(folder.made()) == 2002


def test_children_outlive_it(folder: Folder) -> None:
    command = folder.command({"children": 3}, "--output=A.h5")
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.wait(30) == 0
            members = [
                int(path.parent.name)
                for path in Path("/proc").glob("[0-9]*/stat")
                if path.read_text().rpartition(")")[2].split()[3] == str(process.pid)
            ]
            assert len(members) == 3
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_burst_of_forks_leaves_none(folder: Folder) -> None:
    done = folder.run("--output=A.h5", fork_burst=500)
    assert (done.returncode, done.stdout) == (0, "fork_burst: 500 processes, 0 times refused\n")


def test_a_write_outside_is_told_and_ends_with_its_own_code(folder: Folder) -> None:
    (folder.root / "in/IDP_A").write_bytes(b"x")
    done = folder.run("--output=A.h5", write_outside=True)
    assert done.returncode == 9
    assert f"outside: create {folder.root}/in/written-outside: WRITTEN" in done.stdout
    assert f"outside: create {folder.root}/out/../other-step/written-outside: refused: No such file" in done.stdout
    assert f"outside: remove {folder.root}/in/IDP_A: WRITTEN" in done.stdout
    assert folder.made() == set()


class Volume:
    """A products volume with another star's product; the step's output folder is an attempt's on it."""

    TARGET = "q1/s-2/one/manifest.json"

    def __init__(self, folder: Folder, root: Path) -> None:
        self.product = root / self.TARGET
        self.product.parent.mkdir(parents=True)
        self.product.write_text("star s-2: precious")
        self.attempt = root / "q1/s-1/.attempts/job/one"
        self.attempt.mkdir(parents=True)
        (folder.root / "out").rmdir()
        (folder.root / "out").symlink_to(self.attempt)


@pytest.fixture
def volume(folder: Folder, tmp_path: Path) -> Volume:
    return Volume(folder, tmp_path / "volume")


@pytest.mark.parametrize("way", ["link", "link-through-folder", "link-to-folder"])
def test_a_trap_leads_whoever_follows_links_on_the_volume_to_the_target(
    folder: Folder, volume: Volume, way: str
) -> None:
    done = folder.run("--output=A.h5", plant=way, target=volume.TARGET)
    assert (done.returncode, done.stdout) == (0, f"plant: {way}: done\n")
    assert (volume.attempt / "A.h5").samefile(volume.product)


def test_a_hard_link_is_tried_on_the_inputs_first(folder: Folder, volume: Volume) -> None:
    (folder.root / "in/IDP_A").write_bytes(b"x")
    assert folder.run("--input=IDP_A", "--output=A.h5", plant="hard-link").returncode == 0
    assert (volume.attempt / "A.h5").samefile(folder.root / "in/IDP_A"), "here it is all one file system"


def test_swapping_leaves_a_file_or_a_link(folder: Folder, volume: Volume) -> None:
    command = folder.command({"plant": "swap", "target": volume.TARGET}, "--output=A.h5")
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.wait(30) == 0
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its child, which would go on
    assert os.path.lexists(volume.attempt / "A.h5")


def test_a_way_that_is_none_is_named(folder: Folder, volume: Volume) -> None:
    done = folder.run("--output=A.h5", plant="ask")
    assert done.returncode == 4
    assert "plant: 'ask' is none of link, " in done.stderr


def test_to_pry_finds_a_word_behind_a_link_or_on_a_way_up_and_nothing_elsewhere(folder: Folder, volume: Volume) -> None:
    found = folder.run("--output=A.h5", pry="precious", target=volume.TARGET)
    assert found.returncode == 10, "out is on the volume itself here, and not mounted from it"
    assert "pry: as it is: FOUND in" in found.stdout
    assert folder.run("--output=A.h5", pry="precious", target="q1/s-3/one/manifest.json").returncode == 0
    (folder.root / "in/IDP_A").symlink_to(volume.product)
    assert folder.run("--output=A.h5", pry="precious", target="no").returncode == 10
