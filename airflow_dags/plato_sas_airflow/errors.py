"""What is wrong with what a DAG asks for, and how its task fails."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk.exceptions import AirflowException


class BatchError(ValueError):
    """The batch as a whole, or one of its stars, is not valid; the message names the field or the star.

    Another try would find the same, unless `transient` says that what is in the way goes away by itself.
    """

    transient = False


class ApplyError(BatchError):
    """Some of the batch's resources cannot be created or adopted; the message names the first ten."""

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


def listed(problems: list[str], shown: int = 10) -> str:
    """The first problems in one line, and how many more there are."""
    more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
    return "; ".join(problems[:shown]) + more


def as_airflow(error: BatchError) -> "AirflowException":
    """The exception to raise: Airflow tries again only where the trouble may go away by itself."""
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    kind = AirflowException if error.transient else AirflowFailException
    return kind(str(error))
