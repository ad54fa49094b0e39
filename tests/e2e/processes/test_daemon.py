import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from e2e.airflow import service
from e2e.airflow.__main__ import main
from e2e.airflow.service import AirflowService, AirflowServiceError
from e2e.airflow.settings import Home
from e2e.cluster.waiting import wait_until
from e2e.processes.daemon import Daemon, ProcessError, stop
from e2e.processes.locking import exclusive

WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon("it", tmp_path / "run")
    yield daemon
    stop([daemon], 0)


def start(daemon: Daemon) -> tuple[int, int]:
    """The pids of a leader and its child."""
    daemon.start([sys.executable, "-c", WITH_CHILD], os.environ)
    wait_until(lambda: "" if daemon.tail() else "no output", what="start", timeout=20)
    recorded = daemon.recorded()
    assert recorded is not None
    return recorded.pid, int(daemon.tail())


def test_a_process_is_stopped_with_its_children(daemon: Daemon) -> None:
    leader, child = start(daemon)
    assert daemon.running()
    assert set(daemon.members()) == {leader, child}
    stop([daemon], 0.2)
    assert not daemon.running()
    assert daemon.recorded() is None


def test_what_a_killed_leader_leaves_behind_is_found_and_ended(daemon: Daemon) -> None:
    leader, child = start(daemon)
    os.kill(leader, signal.SIGKILL)
    wait_until(lambda: "still there" if daemon.running() else "", what="end", timeout=10)
    assert daemon.members() == [child]
    stop([daemon], 10)
    assert daemon.members() == []


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot": "another"}], ids=lambda c: next(iter(c)))
def test_another_process_of_that_pid_is_left_alone(daemon: Daemon, change: dict[str, object]) -> None:
    start(daemon)
    recorded = daemon.recorded()
    assert recorded is not None
    foreign = Daemon("foreign", daemon.folder)
    foreign.pid_file.write_text(json.dumps(asdict(replace(recorded, **change))))  # type: ignore[arg-type]
    assert not foreign.running()
    assert foreign.members() == []
    stop([foreign], 5)
    assert daemon.running()


def test_a_program_that_is_not_there_is_named(daemon: Daemon) -> None:
    with pytest.raises(ProcessError, match="it: cannot start /absent: "):
        daemon.start(["/absent"], {})


def test_each_start_has_a_log_of_its_own(daemon: Daemon) -> None:
    start(daemon)
    stop([daemon], 0.2)
    start(daemon)
    assert len(daemon.tail().splitlines()) == 1


def test_without_a_set_up_the_status_of_airflow_is_one_line_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("e2e.airflow.__main__.AirflowService", lambda: AirflowService(Home(folder=tmp_path)))
    assert main(["status"]) == 0
    assert capsys.readouterr().out == "Airflow is not set up here: python -m e2e.airflow up\n"


def test_only_one_command_at_a_time_changes_airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_LOCK_SECONDS", 0.1)
    airflow = AirflowService(Home(folder=tmp_path))
    refused = pytest.raises(AirflowServiceError, match=r"another command holds .*lock for more than 0 s")
    with exclusive(tmp_path / "lock", timeout=0, waiting="not free"), refused:
        airflow.down()
    airflow.down()
