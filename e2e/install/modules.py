"""The modules and pipelines of the repository, each image pinned to what was built from it."""

from pathlib import Path

import yaml

from e2e.images import index
from e2e.layout import LOCAL, REPOSITORY
from plato_sas.api import Document


def _documents(paths: list[Path]) -> list[Document]:
    return [document for path in sorted(paths) for document in yaml.safe_load_all(path.read_text()) if document]


def digest(image: str) -> str:
    """`sha256:...` of an image as it was built here; "" for one that was not."""
    built = index.read(LOCAL / "images" / "index.json")
    return next((entry.digest for entry in built.values() if entry.reference == image), "")


def pinned(image: str) -> str:
    """The image by its digest, so that a manifest names exactly what ran."""
    known = digest(image)
    return f"{image.rpartition(':')[0]}@{known}" if known else image


def science_modules() -> list[Document]:
    """Every ScienceModule of `modules/`."""
    modules = _documents(list(REPOSITORY.glob("modules/*/module.yaml")))
    for module in modules:
        module["spec"]["image"] = pinned(module["spec"]["image"])
    return modules


def pipelines() -> list[Document]:
    """Every StarPipeline of `manifests/pipelines/`."""
    return _documents(list(REPOSITORY.glob("manifests/pipelines/*.yaml")))
