"""A product tree without a cluster: published steps with manifests as the stager writes them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from plato_sas.stager.manifest import SCHEMA, PublishedFile, outputs_digest


def hdf5(path: Path, output: str, values: Mapping[str, object], unit: str = "", **attributes: object) -> bytes:
    """A product in the layout of the prototype SAS, written to `path` and read back."""
    with h5py.File(path, "w") as file:
        group = file.create_group(f"PRODUCTS/{output}")
        group.attrs.update(attributes)
        for name, value in values.items():
            dataset = group.create_dataset(name, data=np.asarray(value))
            if unit:
                dataset.attrs["unit"] = unit
    content = path.read_bytes()
    path.unlink()
    return content


def publish_step(
    products: Path,
    campaign: str,
    star: str,
    step: str,
    *,
    outputs: Mapping[str, bytes] | None = None,
    facts: Mapping[str, object] | None = None,
    module: str | None = None,
    **fields: Any,
) -> Path:
    """One published step; `outputs` by file name, whose stem is the output's name. Gives its folder."""
    folder = products / campaign / star / step
    folder.mkdir(parents=True)
    files = {}
    for name, content in (outputs or {}).items():
        (folder / name).write_bytes(content)
        files[name.partition(".")[0]] = PublishedFile(name, len(content), hashlib.sha256(content).hexdigest())
    document = {
        "schema": SCHEMA,
        "star": star,
        "campaign": campaign,
        "step": step,
        "module": {"name": module or step, "version": "0.1.0", "image": "m@sha256:1", "imageDigest": "sha256:1"},
        "outputs": {name: file._asdict() for name, file in files.items()},
        "missing": [],
        "facts": dict(facts or {}),
        "digest": outputs_digest(files),
        "key": hashlib.sha256(f"{star}/{step}".encode()).hexdigest(),
        "attemptId": f"{star.lower()}-{step}-1",
        **fields,
    }
    (folder / "manifest.json").write_text(json.dumps(document, indent=2) + "\n")
    return folder
