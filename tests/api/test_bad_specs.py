"""What the models and the rules of the CRDs refuse alike, with the field and what is meant."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from plato_sas.api import Document
from plato_sas.api.crd import KINDS, crd
from tests.support.bad_specs import BAD_SPECS
from tests.support.cel_rules import refusals, with_defaults
from tests.support.samples import module, pipeline, processing

MODELS = {model.__name__: model for model, *_ in KINDS}
SPECS = {
    model.__name__: crd(model, *rest)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for model, *rest in KINDS
}

each = pytest.mark.parametrize(
    ("kind", "spec", "field", "told"), BAD_SPECS, ids=[f"{at}-{field}" for at, (_, _, field, _) in enumerate(BAD_SPECS)]
)


@each
def test_the_model_refuses_it(kind: str, spec: Document, field: str, told: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        MODELS[kind].model_validate({"metadata": {"name": "x"}, "spec": spec})
    (error,) = refusal.value.errors()
    assert ".".join(map(str, error["loc"])) == re.sub(r"\[(\w+)\]", r".\1", field)
    assert told in error["msg"]


@each
def test_the_crd_refuses_it(kind: str, spec: Document, field: str, told: str) -> None:
    found = list(refusals(SPECS[kind], with_defaults(SPECS[kind], spec), "spec"))
    hinted = told.startswith("write ")  # the API server computes the hint, as its own test shows
    assert any(one.startswith(f"{field}: ") and (hinted or told in one) for one in found), found


SOUND: list[tuple[str, Any]] = [
    (
        "ScienceModule",
        module(
            image="registry:5000/a/b:1@sha256:" + "0" * 64,
            args=["--threshold=3.5 \n\u00b5"],
            timeout="1h30m",
            resources={"memory": "1Gi", "memoryCap": "1Gi", "cpu": "0.5", "scratch": "1k"},
            facts=[{"name": "f", "type": "number", "unit": "km / s"}],
            parameters=[
                {"name": "a", "type": "integer", "default": "+3", "minimum": 3, "maximum": "3"},
                {"name": "b", "type": "number", "default": "1e-3", "minimum": "-.5", "maximum": 1},
                {"name": "c", "type": "string", "default": "acf", "enum": ["acf", "ps"]},
                {"name": "d", "type": "string", "default": 7, "enum": ["7"]},
                {"name": "e", "type": "boolean", "default": "false"},
                {"name": "f", "type": "string", "default": ""},
            ],
        ),
    ),
    (
        "StarPipeline",
        pipeline([{"name": "a", "module": "m"}], externals=[{"name": "A", "path": "x/{campaign}.d/a{star}=1.h5"}]),
    ),
    ("StarProcessing", processing(deadline="2w", inputs={"A": {"path": "{star}/lc.h5"}}).spec),
]


@pytest.mark.parametrize(("kind", "spec"), SOUND)
def test_the_crd_takes_what_is_sound(kind: str, spec: Any) -> None:
    assert list(refusals(SPECS[kind], spec.to_dict(), "spec")) == []
