"""How a task fails for what a DAG asks for."""

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from plato_sas_airflow.errors import BatchError


def as_airflow(error: BatchError) -> AirflowException:
    """What to raise for it: Airflow's retries, which would find the same, are for what is passing only."""
    kind = AirflowException if error.passing else AirflowFailException
    return kind(str(error))
