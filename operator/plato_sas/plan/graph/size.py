"""How large parts of a pipeline may be, given what stores and carries them."""

import json
from collections.abc import Mapping

from plato_sas.api import ScienceModuleSpec, Value
from plato_sas.stager.description import (
    FactDescription,
    InputDescription,
    OutputDescription,
    Stage,
    StepDescription,
)

# A pinned graph as JSON: etcd refuses requests above 1.5 MiB.
MAX_REVISION = 1024 * 1024
# A stage reaches its pod as one environment variable, which Linux limits to 128 KiB (MAX_ARG_STRLEN). A step fits there
# alone, with the parameters and paths that a star sets.
MAX_STAGE = 124 * 1024
MAX_STEP = 88 * 1024
MAX_PARAMETERS = 16 * 1024
MAX_PATHS = 16 * 1024

# Names at their longest (see plato_sas.api).
_PATH_NAME = "x" * 48
_FOLDER = f"{_PATH_NAME}/{_PATH_NAME}/{'x' * 32}"
_PRODUCT = f"{_PATH_NAME}/{_PATH_NAME}/.attempts/{'x' * 63}/{'x' * 32}/{'x' * 127}"


def longest_path(template: str) -> str:
    """An external product's path for a star and campaign with the longest names."""
    return template.replace("{star}", _PATH_NAME).replace("{campaign}", _PATH_NAME)


def step_size(
    step: str,
    module_name: str,
    module: ScienceModuleSpec,
    inputs: Mapping[str, str | None],
    parameters: Mapping[str, Value],
) -> int:
    """At most how many bytes a stage of this step alone has. `inputs`: their paths if external, by name."""
    described = StepDescription(
        name=step,
        module=module_name,
        version=module.version,
        image=module.image,
        attempt=10**6,
        seed=2**32,
        command=module.command,
        args=module.args,
        parameters=dict(parameters),
        inputs=[
            InputDescription(
                name, "products", _PRODUCT if path is None else longest_path(path), sha256="0" * 64, producer=_FOLDER,
                output="x" * 63, made_by="x" * 32, optional=True, late=True,
            )
            for name, path in inputs.items()
        ],
        outputs=[OutputDescription(one.name, one.file_name, optional=True) for one in module.outputs],
        facts=[FactDescription(one.name, one.type.value) for one in module.facts],
        forced=10**6,
    )  # fmt: skip
    return len(Stage("x" * 63, _PATH_NAME, _PATH_NAME, "x" * 36, 10**6, [described]).to_json())


def json_size(value: object) -> int:
    """The bytes of a value as JSON."""
    return len(json.dumps(value))
