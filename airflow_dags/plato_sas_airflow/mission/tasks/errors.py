"""How the tasks of the DAGs fail."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from plato_sas_airflow.errors import BatchError, as_airflow

P = ParamSpec("P")
T = TypeVar("T")


def airflow_errors(call: Callable[P, T]) -> Callable[P, T]:
    """Raise a BatchError of `call` as Airflow's exception, so that Airflow retries only what may pass."""

    @wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except BatchError as error:
            raise as_airflow(error) from error

    return wrapped
