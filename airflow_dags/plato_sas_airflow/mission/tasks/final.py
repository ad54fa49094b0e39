"""What cannot be right fails a task for good."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from plato_sas_airflow.errors import BatchError, as_airflow

P = ParamSpec("P")
T = TypeVar("T")


def final(call: Callable[P, T]) -> Callable[P, T]:
    """A BatchError of `call` fails the task without Airflow's retries, which would find the same."""

    @wraps(call)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except BatchError as error:
            raise as_airflow(error) from error

    return told
