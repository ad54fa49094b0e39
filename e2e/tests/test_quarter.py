"""A quarter through Airflow on PostgreSQL, with simulated nodes: the benchmark of 10,000 stars, with a hundred."""

import pytest

from e2e.bench.cases.quarter import run
from e2e.bench.measure.options import Options


@pytest.mark.timeout(900)
def test_stars_are_a_few_tasks() -> None:
    details = run(Options(quick=True)).details
    # 2,000 stars of four samples with four priorities, 25 to a batch.
    assert details["planned"]["mappedTasks"] == 80
    assert details["planned"]["databaseRows"]["task_instance"] == 80 + len(details["taskSeconds"]) - 1
    assert details["taskSeconds"].keys() == {"request", "tables", "plan", "stars", "catalogue", "announce"}
    # 100 stars: a task for each of four batches beside the five others, and no row that grows with the stars.
    assert details["databaseRows"]["task_instance"] == 4 + 5
    assert details["databaseRows"]["xcom"] < 50
