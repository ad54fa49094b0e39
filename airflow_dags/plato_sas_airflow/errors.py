"""Errors in what a DAG requests, and the exceptions of Airflow that they become."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk.exceptions import AirflowException


class BatchError(ValueError):
    """The batch or one of its stars is not valid; the message names the field or the star.

    `transient`: the obstacle may go away by itself, so that a retry can succeed.
    """

    transient = False


class ApplyError(BatchError):
    """Some of the batch's resources cannot be created or adopted; the message names the first ten."""

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


def listed(problems: list[str], shown: int = 10) -> str:
    """The first problems in one line, and the number of the others."""
    more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
    return "; ".join(problems[:shown]) + more


def as_airflow(error: BatchError) -> "AirflowException":
    """The exception to raise; Airflow retries the task only for a transient error."""
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    kind = AirflowException if error.transient else AirflowFailException
    return kind(str(error))
