"""The chart as Helm renders it."""

from collections.abc import Callable

import pytest
import yaml

from e2e.setup import manifests
from plato_sas.api import Document

Render = Callable[..., list[Document]]


@pytest.fixture(scope="session")
def render() -> Render:
    """Renders the chart with `--set` arguments; raises RenderingFailed."""

    def documents(*values: str, apis: tuple[str, ...] = ()) -> list[Document]:
        arguments = [argument for value in values for argument in ("--set", value)]
        arguments += [argument for api in apis for argument in ("--api-versions", api)]
        return [document for document in yaml.safe_load_all(manifests.template(*arguments)) if document]

    return documents


@pytest.fixture(scope="session")
def defaults(render: Render) -> list[Document]:
    """The chart with its default values."""
    return render()
