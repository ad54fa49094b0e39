"""What Airflow's providers manager asks of a package that extends it."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider`.

    The hook uses connections of the type `kubernetes`, which the cncf.kubernetes provider registers.
    """
    return {
        "package-name": "plato-sas",
        "name": "PLATO SAS",
        "description": "Stars through the PLATO Stellar Analysis System: StarProcessing resources from Airflow.",
    }
