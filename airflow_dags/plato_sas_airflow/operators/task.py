"""What the operators have in common: identity of a task instance, link values, waiting in the triggerer."""

import time
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

from plato_sas_airflow.batches.batch import batch_id


def map_index_of(task: Any) -> int:
    """The map index; -1 for a task that is not mapped."""
    return -1 if task.map_index is None else int(task.map_index)


def id_of(task: Any) -> str:
    """The id of a task instance's batch; the same for every try."""
    return batch_id(task.dag_id, task.run_id, task.task_id, map_index_of(task))


def token_of(task: Any, retries: int | None) -> str:
    """A token that changes with each clear of the task, and is the same for all of Airflow's retries.

    When a task is cleared, Airflow keeps counting tries and raises `max_tries` by the earlier tries.
    """
    return f"{id_of(task)}/{max(0, task.max_tries - (retries or 0))}"


class CampaignTask(BaseOperator):
    """A task that processes stars of a campaign, or makes its catalogue."""

    campaign: str
    pipeline: str
    namespace: str | None
    timeout: timedelta | None

    def link_values(self) -> dict[str, str]:
        """Values for the templates of the links."""
        given = {"campaign": self.campaign, "pipeline": self.pipeline, "namespace": self.namespace}
        return {name: str(value) for name, value in given.items() if value}

    def wait_until(self) -> float | None:
        """The deadline of waiting, in seconds since the epoch; None: no deadline."""
        return None if self.timeout is None else time.time() + self.timeout.total_seconds()

    def wait_in_triggerer(self, trigger: BaseTrigger) -> NoReturn:
        """Free the worker; Airflow calls `execute_complete` with the trigger's event."""
        self.defer(trigger=trigger, method_name="execute_complete")
        raise AssertionError("unreachable: defer() raises")
