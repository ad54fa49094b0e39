import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from e2e.cluster.waiting import wait_until
from e2e.processes.record import ProcessRecord
from e2e.processes.table import ProcessTable, find

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


def start(table: ProcessTable, tmp_path: Path, *command: str) -> ProcessRecord:
    log = tmp_path / "log"
    return table.start(
        "it", command or ("sleep", "60"), log=log, environment={"PATH": os.environ["PATH"]}, folder=tmp_path
    )


@pytest.fixture
def table(tmp_path: Path) -> ProcessTable:
    return ProcessTable(tmp_path / "processes")


def test_a_started_process_is_found_and_ended(table: ProcessTable, tmp_path: Path) -> None:
    record = start(table, tmp_path)
    assert ProcessTable(tmp_path / "processes").running("it") == record
    assert 0 <= record.uptime_seconds < 30
    assert table.stop("it", grace_seconds=10)
    assert table.running("it") is None
    assert not Path(f"/proc/{record.pid}").exists(), "it was not reaped"
    assert not table.stop("it", grace_seconds=10)


def test_one_that_ignores_the_request_is_killed(table: ProcessTable, tmp_path: Path) -> None:
    record = start(table, tmp_path, sys.executable, "-c", STUBBORN)
    wait_until(lambda: "" if "ready" in (tmp_path / "log").read_text() else "not yet", what="start", timeout=20)
    table.stop("it", grace_seconds=0.2)
    assert not record.alive()


@pytest.mark.parametrize(
    "change", [{"start_ticks": 1}, {"executable": "/usr/bin/other"}, {"boot": "another"}], ids=lambda c: next(iter(c))
)
def test_another_process_of_that_pid_is_never_ended(
    table: ProcessTable, tmp_path: Path, change: dict[str, object]
) -> None:
    foreign = subprocess.Popen(["sleep", "60"])
    try:
        record = replace(start(table, tmp_path), pid=foreign.pid)
        table.stop("it", grace_seconds=5)
        real = find(["sleep", "60"])[0]
        record = replace(real, pid=foreign.pid, **change)  # type: ignore[arg-type]
        (tmp_path / "processes" / "it.json").write_text(json.dumps(asdict(record)))
        assert table.running("it") is None
        assert not table.stop("it", grace_seconds=5)
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


@pytest.mark.parametrize("content", ["", '{"pid": 1, "sta', "[]", '{"pid": 1}', "null"])
def test_a_half_written_record_names_nothing(table: ProcessTable, tmp_path: Path, content: str) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "it.json").write_text(content)
    assert table.running("it") is None


def test_a_killed_child_that_nobody_waited_for_does_not_run(table: ProcessTable, tmp_path: Path) -> None:
    record = start(table, tmp_path)
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while record.alive() and time.monotonic() < deadline:
        pass
    assert table.running("it") is None
    os.waitpid(record.pid, 0)


def test_a_program_replaced_on_disk_is_still_the_same_process(table: ProcessTable, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    record = start(table, tmp_path, str(program), "60")
    program.unlink()
    assert record.alive()
    table.stop("it", grace_seconds=10)


def test_an_unrecorded_process_is_found_by_its_command(tmp_path: Path) -> None:
    command = ["sleep", "61.000731"]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: "" if find(command) else "not yet", what="exec", timeout=10)
        assert [record.pid for record in find(command)] == [process.pid]
        assert find(["sleep", "61.00073"]) == []
    finally:
        process.kill()
        process.wait()


def test_output_is_kept_in_the_log(table: ProcessTable, tmp_path: Path) -> None:
    start(table, tmp_path, "sh", "-c", "echo out; echo err >&2; exec sleep 60")
    log = tmp_path / "log"
    wait_until(lambda: "" if log.read_text() == "out\nerr\n" else log.read_text(), what="log", timeout=10)
    table.stop("it", grace_seconds=10)
