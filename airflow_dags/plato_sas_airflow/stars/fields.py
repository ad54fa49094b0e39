"""Checks of single fields of a StarProcessing, before all of them are known. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from plato_sas.api import StarProcessingSpec

# Placeholders for fields that are not known yet.
_UNKNOWN = {"star": "star", "campaign": "campaign", "pipeline": "pipeline"}


def problems(fields: Mapping[str, Any]) -> list[str]:
    """What is wrong with some fields of a spec (named as in YAML); fields that are left out are not checked."""
    try:
        spec = StarProcessingSpec.model_validate({**_UNKNOWN, **fields})
    except ValidationError as error:
        return [f"{_path(one['loc'])}: {one['msg']}" for one in error.errors()]
    if "campaign" in fields and spec.previous_campaign == spec.campaign:
        return ["previousCampaign: must be another campaign"]
    return []


def _path(location: tuple[int | str, ...]) -> str:
    # `[key]` marks that the key is what is not valid.
    return ".".join(str(part) for part in location if part != "[key]")
