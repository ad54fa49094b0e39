"""What the resources accept and what they refuse."""

from typing import Any

import pytest
from pydantic import ValidationError

from plato_sas.api import (
    API_VERSION,
    InputFile,
    ModuleOutput,
    ObjectMeta,
    ScienceModule,
    StarProcessing,
    StarProcessingStatus,
    StarState,
    StepState,
    amount,
    seconds,
)
from tests.support.samples import module, pipeline, processing


def star(**spec: Any) -> StarProcessing:
    return processing(**spec)


@pytest.mark.parametrize("name", ["KIC6603624", "kic-8006161", "A", "sim_0001", "x" * 48])
def test_a_star_id_is_letters_digits_dash_and_underscore(name: str) -> None:
    assert star(star=name).spec.star == name


@pytest.mark.parametrize(
    "name", ["../../etc", "..", ".hidden", "a/b", "a b", "", "-a", "a-", "x" * 49, "a\n", "étoile", "a\x00b", "$(A)"]
)
@pytest.mark.parametrize("field", ["star", "campaign"])
def test_a_star_or_campaign_that_could_leave_its_folder_is_refused(field: str, name: str) -> None:
    with pytest.raises(ValidationError, match=rf"spec\.{field}"):
        star(**{field: name})


@pytest.mark.parametrize("path", ["../lc.h5", "a/../b", "/etc/passwd", "a//b", ".attempts/x", "a/.b", "a/", "a b", ""])
def test_an_input_path_stays_below_its_volume(path: str) -> None:
    with pytest.raises(ValidationError):
        InputFile(path=path)


@pytest.mark.parametrize(
    "path",
    [
        "lc.h5",
        "{star}.h5",
        "q1/{star}/lc.h5",
        "{campaign}/{star}/{star}-{campaign}.h5",
        "{campaign}/{star}_a=b+c.fits",
        "a/b/c-d.h5",
    ],
)
def test_an_input_path_may_hold_folders_and_placeholders(path: str) -> None:
    assert InputFile(path=path).path == path


@pytest.mark.parametrize("path", ["{campain}/lc.h5", "{star}/{quarter}.h5", "{star", "star}/x", "{}", "{Star}/x"])
def test_a_placeholder_that_is_not_known_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"only \{star\} and \{campaign\}"):
        InputFile(path=path)


@pytest.mark.parametrize("path", ["../x", "a/b", ".hidden", "", "x" * 128])
def test_an_output_is_one_visible_file(path: str) -> None:
    with pytest.raises(ValidationError, match="path"):
        ModuleOutput(name="OUT", path=path)


def test_an_output_without_a_path_is_an_hdf5_file_of_its_name() -> None:
    assert ModuleOutput(name="DP5_SAS").file_name == "DP5_SAS.h5"
    assert ModuleOutput(name="DP5_SAS", path="r.json").file_name == "r.json"


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"spec\.desiredstate"):
        star(desiredstate="Suspend")
    with pytest.raises(ValidationError, match=r"podSpec"):
        module(podSpec={})


@pytest.mark.parametrize("value", [3.5, 3.0, True, None, ["a"]])
def test_a_parameter_is_an_integer_or_a_string_never_a_float(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"spec\.parameters\.msap1\.snr"):
        star(parameters={"msap1": {"snr": value}})


@pytest.mark.parametrize("value", [3, "3", "3.0", "007", "true", "1e3", ""])
def test_a_parameter_is_kept_as_it_was_written(value: int | str) -> None:
    kept = star(parameters={"msap1": {"snr": value}}).spec.parameters["msap1"]["snr"]
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("20m", 1200), ("2h", 7200), ("1d", 86400), ("2w", 1209600), ("1h30m", 5400), ("1h0m5s", 3605),
     ("1d12h", 129600), ("99w99d999h99999m9999999s", 99 * 604800 + 99 * 86400 + 999 * 3600 + 99999 * 60 + 9999999)],
)  # fmt: skip
def test_a_duration_is_numbers_with_units(text: str, expected: int) -> None:
    assert seconds(module(timeout=text).timeout) == expected


@pytest.mark.parametrize(
    "text",
    ["0s", "1.5h", "20", "20 m", "-5m", "", "20m\n", "10000000s", "100000m", "1000h", "100d", "100w", "30m1h", "1h1h",
     "0h5m", "1h30", "m", "1y", "1H"],
)  # fmt: skip
def test_another_form_of_duration_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"timeout\n.*such as 90s, 20m, 1h30m or 2w"):
        module(timeout=text)
    with pytest.raises(ValueError, match="must be a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2", 2), ("512Mi", 2.0**29), ("2Gi", 2.0**31), ("1k", 1e3), ("3M", 3e6), ("1Ti", 2.0**40), ("1.0", 1),
     ("1.50Gi", 1.5 * 2**30), ("0.05G", 5e7), ("010", 10)],
)  # fmt: skip
def test_bytes_are_a_number(text: str, expected: float) -> None:
    assert amount(module(resources={"scratch": text}).resources.scratch) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "expected"), [("250m", 0.25), ("2", 2), ("0.5", 0.5), ("0.05", 0.05)])
def test_cores_are_a_number(text: str, expected: float) -> None:
    assert amount(module(resources={"cpu": text}).resources.cpu) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "Mi", "-1", "1e3", "lots", "0", "0Mi", "00", "0.0", "0.00Gi"])
@pytest.mark.parametrize("field", ["cpu", "memory", "memoryCap", "scratch"])
def test_another_form_of_cores_or_bytes_is_refused(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match=rf"resources\.{field}\n.*above zero, such as"):
        module(resources={field: text})


@pytest.mark.parametrize(
    ("text", "told"),
    [("128MB", "write 128M or 128Mi"), ("1.5GiB", "write 1.5G or 1.5Gi"), ("64 kb", "write 64k or 64Ki"),
     ("2g", "write 2G or 2Gi"), ("1m", "write 1M or 1Mi")],
)  # fmt: skip
def test_a_mistaken_unit_of_bytes_is_answered_with_what_is_meant(text: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        module(resources={"memory": text})


def test_memory_in_bytes_without_a_unit_is_taken_if_it_is_enough() -> None:
    assert module(resources={"memory": "1048576"}).resources.memory == "1048576"
    assert module(resources={"memory": "1G", "memoryCap": "1Gi"}).resources.memory_cap == "1Gi"


@pytest.mark.parametrize(
    "image",
    ["m", "m:1", "Registry.example:5000/group/name_a.b--c:V1.2_x-y", "localhost/m", "[::1]:5000/m",
     "m@sha256:" + "0" * 64, "r/m:1@sha512:" + "f" * 128],
)  # fmt: skip
def test_an_image_is_a_reference(image: str) -> None:
    assert module(image=image).image == image


@pytest.mark.parametrize(
    "image",
    ["", " ", "registry/m:1 ", " registry/m:1", "registry/m :1", "m:1\n", "a\tb", "Group/Name:1", "https://r/m:1", "m:",
     "m@sha256:0123", "m@sha256:" + "0" * 63 + "G", "m:1:2", "r//m", "/m", "m/", "-m", "m:.x", "a" * 511 + ":x", "é"],
)  # fmt: skip
def test_an_image_that_no_runtime_can_pull_is_refused(image: str) -> None:
    with pytest.raises(ValidationError, match="image"):
        module(image=image)


def test_a_priority_has_bounds() -> None:
    assert star(priority=1000).spec.priority == 1000
    with pytest.raises(ValidationError, match="priority"):
        star(priority=1001)


def test_a_module_has_at_least_one_output_and_a_pipeline_at_least_one_step() -> None:
    with pytest.raises(ValidationError, match="outputs"):
        module(outputs=[])
    with pytest.raises(ValidationError, match="steps"):
        pipeline([])


def test_names_have_the_shape_that_their_use_needs() -> None:
    with pytest.raises(ValidationError, match=r"steps\.0\.name"):
        pipeline([{"name": "MSAP1", "module": "m"}])
    with pytest.raises(ValidationError, match=r"steps\.0\.name"):
        pipeline([{"name": "s" * 33, "module": "m"}])
    with pytest.raises(ValidationError, match=r"facts\.0\.name"):
        module(facts=[{"name": "Not-CEL", "type": "boolean"}])


def test_yaml_is_camel_case_and_python_snake_case() -> None:
    written = star(desiredState="Suspend")
    assert written.spec.desired_state == "Suspend"
    assert written.to_dict()["spec"]["desiredState"] == "Suspend"


def test_a_resource_survives_a_round_trip_through_json() -> None:
    one = star(parameters={"a": {"x": "1.0"}}, inputs={"DP1": {"sha256": "0" * 64}})
    assert StarProcessing.model_validate(one.to_dict()) == one
    catalogue = ScienceModule(metadata=ObjectMeta(name="m"), spec=module(retry={"temporary": 1}))
    assert ScienceModule.model_validate(catalogue.to_dict()) == catalogue
    assert catalogue.api_version == API_VERSION


def test_metadata_that_the_server_adds_passes_through() -> None:
    document = star().to_dict()
    document["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    assert StarProcessing.model_validate(document).metadata.name == "star-1"


@pytest.mark.parametrize("value", [True, 3, 2.5, "quiet"])
def test_a_fact_keeps_its_type(value: object) -> None:
    status = StarProcessingStatus.model_validate({"facts": {"msap1": {"x": value}}})
    kept = status.facts["msap1"]["x"]
    assert (kept, type(kept)) == (value, type(value))


def test_final_states() -> None:
    under_way = {StepState.PENDING, StepState.RUNNING, StepState.PUBLISHING}
    assert {state for state in StepState if not state.final} == under_way
    assert {state for state in StepState if state.published} == {StepState.SUCCEEDED, StepState.REUSED}
    assert {state for state in StarState if not state.at_rest} == {
        StarState.PENDING,
        StarState.RUNNING,
        StarState.SUSPENDED,
    }
    assert {state for state in StarState if state.at_rest and not state.final} == {StarState.REJECTED}


@pytest.mark.parametrize("wish", [{}, {"failed": True}, {"from": ["a", "b"]}])
def test_a_rerun_has_a_number_and_says_what_to_look_at_again(wish: dict[str, Any]) -> None:
    rerun = star(rerun={"id": 1, **wish}).spec.rerun
    assert rerun is not None
    assert (rerun.from_steps, rerun.failed) == (wish.get("from"), wish.get("failed", False))
    assert star(rerun={"id": 1, **wish}).to_dict()["spec"]["rerun"] == {"id": 1, "failed": False, **wish}


@pytest.mark.parametrize("rerun", [{}, {"id": 0}, {"id": 10000000000}, {"id": 1, "from": []}, {"id": 1, "from": ["A"]}])
def test_another_form_of_rerun_is_refused(rerun: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"spec\.rerun"):
        star(rerun=rerun)


@pytest.mark.parametrize("field", ["deadline", "ttl"])
def test_deadline_and_ttl_are_durations(field: str) -> None:
    assert star(**{field: "2h"}).to_dict()["spec"][field] == "2h"
    with pytest.raises(ValidationError, match=rf"spec\.{field}"):
        star(**{field: "2 hours"})


def test_stages_are_the_pipelines_unless_the_star_says_otherwise() -> None:
    assert pipeline([{"name": "a", "module": "m"}]).stages == "Fused"
    assert pipeline([{"name": "a", "module": "m"}], stages="PerStep").stages == "PerStep"
    assert star().spec.stages is None
    with pytest.raises(ValidationError, match=r"spec\.stages"):
        star(stages="fused")
