"""What is rebuilt and when, in which order, and what is left on disk; with a builder that only takes notes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from e2e.images import index
from e2e.images.builder import Builder
from e2e.images.sources import ELSEWHERE, PREFIX, VERSION, Image, find, fingerprints, with_bases
from e2e.layout import REPOSITORY
from e2e.processes.command import CommandFailed, run_logged


class NotingEngine:
    """Keeps what it was asked to build; an archive holds the image's name."""

    name = "noting"

    def __init__(self, broken: str = "", meeting: threading.Barrier | None = None) -> None:
        self.broken = broken
        self._meeting = meeting
        self.built: list[str] = []
        self.cleaned = False
        self.storage: dict[str, str] = {}
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()

    def prepare(self) -> None:
        pass

    def debian_fingerprint(self) -> str:
        return "debian"

    def built_fingerprint(self, image: Image) -> str | None:
        return self.storage.get(image.name)

    def build(self, image: Image, fingerprint: str, log: Path) -> None:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            for base in image.own_bases():
                assert base in self.storage
            if image.name == self.broken:
                raise CommandFailed("no compiler")
            if self._meeting is not None and not image.base:
                self._meeting.wait()
            self.storage[image.name] = fingerprint
            self.built.append(image.name)
        finally:
            with self._lock:
                self._now -= 1

    def save(self, image: Image, archive: Path, log: Path) -> str:
        archive.write_text(image.name)
        return "sha256:0"

    def clean(self) -> None:
        self.cleaned = True


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    modules = tmp_path / "repository" / "modules"
    dockerfiles = {
        "base/python": "FROM debian:bookworm-slim\n",
        "base/python-build": f"FROM {PREFIX}python:{VERSION}\n",
        "one": f"FROM {PREFIX}python-build:{VERSION} AS b\nCOPY shared one/code /x/\nFROM {PREFIX}python:{VERSION}\n",
        "two": f"FROM {PREFIX}python:{VERSION}\nCOPY two/code /x\n",
    }
    for name, text in dockerfiles.items():
        (modules / name).mkdir(parents=True)
        (modules / name / "Dockerfile").write_text(text)
    for name in ("one", "two"):
        (modules / name / "code").mkdir()
        (modules / name / "code" / "main.py").write_text("print()")
    (modules / "shared").mkdir()
    (modules / "shared" / "lib.py").write_text("x = 1")
    return modules.parent


def build(repository: Path, engine: NotingEngine, names: list[str] | None = None) -> dict[str, index.Entry]:
    engine.built.clear()
    folder = repository / ".local"
    return Builder(find(repository), engine, folder, lambda text: None).build(names or ["one", "two"], jobs=2)


def test_all_is_built_once_with_bases_first(repository: Path) -> None:
    engine = NotingEngine()
    entries = build(repository, engine)
    assert sorted(engine.built) == ["one", "python", "python-build", "two"]
    assert set(entries) == {"one", "two"}
    assert (repository / ".local" / entries["one"].archive).read_text() == "one"
    build(repository, engine)
    assert engine.built == []


def test_only_what_uses_a_changed_file_is_rebuilt(repository: Path) -> None:
    engine = NotingEngine()
    old = build(repository, engine)["one"].archive
    (repository / "modules/shared/lib.py").write_text("x = 2")
    (repository / "modules/two/README.md").write_text("not copied")
    (repository / "modules/shared/__pycache__").mkdir()
    (repository / "modules/shared/__pycache__/lib.pyc").write_text("")
    new = build(repository, engine)["one"].archive
    assert engine.built == ["one"]
    assert new != old
    assert not (repository / ".local" / old).exists()


def test_a_changed_base_rebuilds_all_above_it(repository: Path) -> None:
    engine = NotingEngine()
    build(repository, engine)
    dockerfile = repository / "modules/base/python/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "ENV A=b\n")
    build(repository, engine)
    assert sorted(engine.built) == ["one", "python", "python-build", "two"]


def test_a_lost_archive_is_made_again(repository: Path) -> None:
    engine = NotingEngine()
    entries = build(repository, engine)
    (repository / ".local" / entries["two"].archive).unlink()
    build(repository, engine)
    assert engine.built == ["two"]


def test_an_emptied_storage_alone_rebuilds_nothing(repository: Path) -> None:
    engine = NotingEngine()
    build(repository, engine)
    engine.storage.clear()
    build(repository, engine)
    assert engine.built == []


def test_a_failure_is_told_and_the_good_image_is_kept(repository: Path) -> None:
    broken = NotingEngine(broken="two")
    with pytest.raises(CommandFailed, match="two: no compiler"):
        build(repository, broken)
    assert broken.cleaned
    engine = NotingEngine()
    build(repository, engine)
    assert "two" in engine.built


def test_a_failed_base_starts_nothing_above_it(repository: Path) -> None:
    engine = NotingEngine(broken="python")
    with pytest.raises(CommandFailed, match="python: no compiler"):
        build(repository, engine)
    assert engine.built == []


def test_two_images_are_built_at_a_time(repository: Path) -> None:
    for name in ("three", "four"):
        (repository / "modules" / name).mkdir()
        (repository / "modules" / name / "Dockerfile").write_text(f"FROM {PREFIX}python:{VERSION}\n")
    # Each waits in its build until another is being built too.
    engine = NotingEngine(meeting=threading.Barrier(2, timeout=30))
    build(repository, engine, ["one", "two", "three", "four"])
    assert engine.most_at_once == 2


def test_one_name_builds_only_its_own_bases(repository: Path) -> None:
    engine = NotingEngine()
    build(repository, engine, ["two"])
    assert engine.built == ["python", "two"]


def test_a_damaged_index_is_made_anew(repository: Path) -> None:
    engine = NotingEngine()
    build(repository, engine)
    (repository / ".local/index.json").write_text("{")
    assert set(build(repository, engine)) == {"one", "two"}
    assert json.loads((repository / ".local/index.json").read_text())["images"]["one"]["reference"] == (
        f"{PREFIX}one:{VERSION}"
    )


def test_unknown_names_are_refused(repository: Path) -> None:
    with pytest.raises(ValueError, match="no image named 'three'"):
        with_bases(find(repository), ["three"])
    (repository / "modules/two/Dockerfile").write_text(f"FROM {PREFIX}absent:{VERSION}\n")
    with pytest.raises(ValueError, match=f"FROM {PREFIX}absent: no image of this name"):
        find(repository)
    (repository / "modules/two/Dockerfile").write_text(f"FROM {PREFIX}python:9\n")
    with pytest.raises(ValueError, match=f"have version {VERSION}"):
        find(repository)


@pytest.fixture
def partner(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules outside of the checkout."""
    folder = repository.parent / "partner"
    (folder / "theirs").mkdir(parents=True)
    (folder / "theirs" / "Dockerfile").write_text(f"FROM {PREFIX}python:{VERSION}\nCOPY theirs/run.py /x\n")
    (folder / "theirs" / "run.py").write_text("print()")
    monkeypatch.setenv(ELSEWHERE, str(folder))
    return folder


def test_a_partners_modules_are_built_on_the_same_bases(repository: Path, partner: Path) -> None:
    engine = NotingEngine()
    build(repository, engine)
    entries = build(repository, engine, ["theirs"])
    assert engine.built == ["theirs"]
    assert entries["theirs"].reference == f"{PREFIX}theirs:{VERSION}"


def test_a_partners_folder_must_have_modules_with_names_of_their_own(repository: Path, partner: Path) -> None:
    (partner / "theirs").rename(partner / "two")
    with pytest.raises(ValueError, match="two/Dockerfile is an image of this name already"):
        find(repository)
    (partner / "two" / "Dockerfile").unlink()
    with pytest.raises(ValueError, match=f"{ELSEWHERE}: .*partner has no folder with a Dockerfile"):
        find(repository)


def test_a_missing_source_is_named(repository: Path) -> None:
    (repository / "modules/two/Dockerfile").write_text("FROM scratch\nCOPY two/absent /x\n")
    with pytest.raises(ValueError, match="source 'two/absent' is not in"):
        fingerprints(find(repository), "debian")


def test_the_repository_s_own_images_can_all_be_followed() -> None:
    images = find()
    assert {"python", "python-build", "msap1", "dp1-kepler", "dp1-psls"} <= set(images)
    assert set(fingerprints(images, "debian")) == set(images)


def test_an_interrupted_build_stops_its_programs(repository: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"

    class Engine(NotingEngine):
        def build(self, image: Image, fingerprint: str, log_file: Path) -> None:
            if image.name == "one":
                raise KeyboardInterrupt
            if image.name == "two":
                run_logged(["sleep", "60"], log, timeout=60)
            super().build(image, fingerprint, log_file)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        build(repository, Engine())
    assert time.monotonic() - started < 30


def test_a_killed_build_s_orphan_holds_the_lock(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from e2e.images.builder import exclusive_build;"
        "from e2e.processes.command import run_logged\n"
        "with exclusive_build(Path(sys.argv[1]), print):\n"
        "    run_logged(['sh', '-c', 'echo $$; exec sleep 60'], Path(sys.argv[1]) / 'log', timeout=60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=REPOSITORY)
    log = tmp_path / "log"
    deadline = time.monotonic() + 30
    while not (log.is_file() and log.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    with (tmp_path / "lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(int(log.read_text()), signal.SIGKILL)
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_a_slow_program_is_ended_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(CommandFailed, match=r"no end after 1 s\n  \| started"):
        run_logged(["sh", "-c", "echo started; sleep 60 & wait"], log, timeout=1)
    with pytest.raises(CommandFailed, match="sh: exit code 3"):
        run_logged(["sh", "-c", "exit 3"], log, timeout=10)
