"""What the operators have in common: a task instance as the resources know it, its links, its way to the triggerer."""

import time
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

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


class CampaignTask(BaseOperator):
    """A task over stars of a campaign, or over its catalogue."""

    campaign: str
    pipeline: str
    namespace: str | None
    timeout: timedelta | None

    def link_values(self) -> dict[str, str]:
        """What stands in the templates of the links."""
        given = {"campaign": self.campaign, "pipeline": self.pipeline, "namespace": self.namespace}
        return {name: str(value) for name, value in given.items() if value}

    def wait_until(self) -> float | None:
        """When waiting ends, in seconds since the epoch; None: never."""
        return None if self.timeout is None else time.time() + self.timeout.total_seconds()

    def wait_in_triggerer(self, trigger: BaseTrigger) -> NoReturn:
        """Free the worker; Airflow calls `execute_complete` with what the trigger fires."""
        self.defer(trigger=trigger, method_name="execute_complete")
        raise AssertionError("unreachable: defer() raises")
