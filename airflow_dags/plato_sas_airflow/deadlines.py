"""From when a run's deadline is measured: the time it was queued."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.deadline import BaseDeadlineReference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class RunQueued(BaseDeadlineReference):
    """The time a run was first queued; clearing its tasks does not change it.

    Airflow's own `DAGRUN_QUEUED_AT` changes when tasks are cleared, and from 3.3.0 to at least 3.3.2 that fails: no
    task of a run with such a deadline can be cleared (https://github.com/apache/airflow/issues/70368).
    """

    required_kwargs = frozenset({"dag_id", "run_id"})

    def _evaluate_with(self, *, session: "Session", dag_id: str, run_id: str, **_: Any) -> datetime | None:
        """Called by Airflow in the process that creates the run."""
        from airflow.models import DagRun
        from sqlalchemy import select

        return session.scalar(select(DagRun.queued_at).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


class PlatoSasPlugin(AirflowPlugin):
    """Registers the deadline reference: Airflow reads stored deadlines only with references of plugins.

    The plugin is an entry point of the package, since Airflow does not load a provider's plugins everywhere.
    """

    name = "plato_sas"
    deadline_references = [RunQueued]
