"""What the benchmark of a quarter makes of what it sees."""

import os
import subprocess
import sys
from collections import Counter

from e2e.bench.cases.quarter import Planned, Processed, _durations, _result, _targets
from e2e.bench.measure import cpu
from e2e.bench.measure.database import grown

BURN = "sum(range(30_000_000))"


def processed(wall: float, working: float) -> Processed:
    return Processed(
        stars=100,
        wall=wall,
        working=working,
        rates=[0.5] * 10,
        instances=14,
        tasks={"plan": 3.0},
        memory=dict.fromkeys(("api-server", "scheduler", "triggerer", "dag-processor"), (100.0, 150.0)),
        airflow={"scheduler": 25.0},
        cpu={"airflow": 25.0, "postgres": 5.0, "etcd": 10.0},
        rows={"xcom": 9},
        mebibytes=12.0,
    )


def test_every_star_is_a_line_and_every_sample_a_piece() -> None:
    lines = [line.split(",") for line in _targets(10, "planned")]
    assert len({star for star, _, _ in lines}) == 10
    assert Counter(sample for _, sample, _ in lines).keys() == {"P1", "P2", "P4", "P5"}
    assert [sample for _, sample, _ in lines] == sorted(sample for _, sample, _ in lines)


def test_rows_are_those_that_were_added() -> None:
    assert grown({"dag": 4, "log": 7}, {"dag": 4, "log": 9, "task_instance": 250}) == {"task_instance": 250, "log": 2}


def test_a_mapped_task_is_as_long_as_its_longest_instance() -> None:
    tasks = [("plan", 4.0), ("stars", 7.25), ("stars", 9.04), ("announce", None)]
    instances = [{"task_id": task, "duration": duration} for task, duration in tasks]
    assert _durations(instances) == {"plan": 4.0, "stars": 9.0, "announce": 0.0}


def test_airflows_share_is_the_time_when_no_star_is_at_work() -> None:
    found = _result(Planned(250_000, 250, 30.0, 0.4, {"task_instance": 250}), processed(wall=200.0, working=180.0))
    assert found.figure == 0.1
    figures = {name: value for name, value, _, _ in found.figures()}
    assert figures["mapped tasks of 250000 stars"] == 250
    assert figures["Airflow's and its database's share of the processor time"] == 0.75
    assert found.met
    assert not _result(Planned(250_000, 501, 30.0, None, {}), processed(200.0, 180.0)).met


def test_processor_time_of_ended_children_counts_where_it_is_wanted() -> None:
    subprocess.run([sys.executable, "-c", BURN], check=True)
    me = os.getpid()
    assert cpu.seconds(me, children=True) >= cpu.seconds(me) + 0.1


def test_a_family_is_a_process_with_its_living_and_its_ended_children() -> None:
    code = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{BURN}']); {BURN}; print(flush=True); input()"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        alone, family = cpu.seconds(parent.pid), cpu.family_seconds(parent.pid)
        assert 0 < alone < family
        assert cpu.family_seconds(os.getpid()) >= family
        parent.communicate(b"\n")
