"""Airflow 3 on this machine, for the demo and the tests: `python -m e2e.airflow up`.

Airflow's four components (API server, scheduler with the local executor, DAG processor, triggerer) run side by side
as `airflow standalone` would run them. They are started one by one here because `standalone` cannot keep the
scheduler's and the triggerer's log servers off the machine's outer addresses, and leaves children behind when killed.
"""

from e2e.airflow.api import AirflowApi, AirflowApiError, RunResult
from e2e.airflow.service import AirflowService, AirflowServiceError
from e2e.processes.daemon import ProcessError

__all__ = [
    "AirflowApi",
    "AirflowApiError",
    "AirflowService",
    "AirflowServiceError",
    "ProcessError",
    "RunResult",
]
