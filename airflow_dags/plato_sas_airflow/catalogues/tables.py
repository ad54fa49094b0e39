"""The tables of a campaign's catalogue, as a site writes them down: one YAML file for each pipeline."""

from typing import Any

import yaml
from airflow.sdk import ObjectStoragePath

from plato_sas_airflow.catalogues.resource import checked_spec
from plato_sas_airflow.errors import BatchError


def read_tables(folder: str, pipeline: str) -> list[dict[str, Any]]:
    """The `tables` of `<folder>/<pipeline>.yaml`, as in a StarCatalogue. Raises BatchError naming the file.

    :param folder: a local path, or a URL of a storage that Airflow knows.
    """
    path = f"{folder.rstrip('/')}/{pipeline}.yaml"
    try:
        document = yaml.safe_load(ObjectStoragePath(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BatchError(
            f"{path} is not there: it says which tables the catalogue of {pipeline} has; without it, run without a "
            "catalogue"
        ) from None
    except (OSError, ValueError, ImportError, yaml.YAMLError) as error:
        raise BatchError(f"{path}: {type(error).__name__}: {error}") from error
    tables = document.get("tables") if isinstance(document, dict) else None
    if not isinstance(tables, list):
        raise BatchError(f"{path}: a mapping with the list `tables` is wanted")
    try:
        checked_spec({"campaign": "campaign", "pipeline": pipeline, "tables": tables})
    except BatchError as error:
        raise BatchError(f"{path}: {error}") from None
    return tables
