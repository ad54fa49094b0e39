"""A task instance as the resources know it."""

from typing import Any

from plato_sas_airflow.batches.batch import batch_id


def map_index_of(task: Any) -> int:
    """-1 for a task that is not mapped."""
    return -1 if task.map_index is None else int(task.map_index)


def id_of(task: Any) -> str:
    """The same for every try of a task instance."""
    return batch_id(task.dag_id, task.run_id, task.task_id, map_index_of(task))


def token_of(task: Any, retries: int | None) -> str:
    """New after each clear of the task, and the same for all of Airflow's retries.

    Airflow counts tries on, and raises `max_tries` by the tries before when a task is cleared.
    """
    return f"{id_of(task)}/{max(0, task.max_tries - (retries or 0))}"
