"""Errors of a target list as a whole."""

from plato_sas_airflow.errors import BatchError


class TargetListError(BatchError):
    """The list cannot be used; the message names the file, and the line or row if there is one."""
