"""Checks of single fields of a StarProcessing, before there is a whole one. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from plato_sas.api import StarProcessingSpec

# Stand in for what is not known yet: a template, or a star that another task finds.
_UNKNOWN = {"star": "star", "campaign": "campaign", "pipeline": "pipeline"}


def problems(fields: Mapping[str, Any]) -> list[str]:
    """What is wrong with some fields of a spec (by their names in YAML), each named. Fields left out are not judged."""
    try:
        spec = StarProcessingSpec.model_validate({**_UNKNOWN, **fields})
    except ValidationError as error:
        return [f"{_path(one['loc'])}: {one['msg']}" for one in error.errors()]
    if "campaign" in fields and spec.previous_campaign == spec.campaign:
        return ["previousCampaign: must be another campaign"]
    return []


def _path(location: tuple[int | str, ...]) -> str:
    # `[key]` says that it is the key which does not fit.
    return ".".join(str(part) for part in location if part != "[key]")
