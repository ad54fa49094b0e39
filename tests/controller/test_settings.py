"""Settings from the environment; an error names its variable."""

from pathlib import Path

import pytest

from plato_sas.controller.settings import SettingInvalid, Settings

NEEDED = {"PLATO_SAS_NAMESPACE": "plato", "PLATO_SAS_STAGER_IMAGE": "stager:1"}


def test_two_variables_are_enough() -> None:
    settings = Settings.from_environment(NEEDED)
    assert (settings.namespace, settings.site.stager_image) == ("plato", "stager:1")
    assert (settings.site.inputs_claim, settings.site.products_claim) == ("sas-inputs", "sas-products")
    assert (settings.site.user, settings.site.image_pull_policy) == (10001, "IfNotPresent")
    assert settings.max_active_stars == 1000


@pytest.mark.parametrize("name", NEEDED)
def test_a_variable_that_is_needed_is_named(name: str) -> None:
    rest = {key: value for key, value in NEEDED.items() if key != name}
    with pytest.raises(SettingInvalid, match=f"^{name} is not set$"):
        Settings.from_environment(rest)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PLATO_SAS_WORKERS", "many", "'many' is not an integer"),
        ("PLATO_SAS_WORKERS", "", "'' is not an integer"),
        ("PLATO_SAS_WORKERS", "0", "0 is less than 1"),
        ("PLATO_SAS_MAX_ACTIVE_STARS", "-1", "-1 is less than 1"),
        ("PLATO_SAS_USER", "0", "0 is less than 1"),
        ("PLATO_SAS_RESYNC_SECONDS", "1", "1 is less than 10"),
        ("PLATO_SAS_NODE_SELECTOR", "disk=fast,zone", "'zone' is not of the form key=value"),
        ("PLATO_SAS_STAR_TTL_SECONDS", "-1", "-1 is less than 0"),
        ("PLATO_SAS_MAX_STEPS_PER_STAGE", "17", "17 is more than 16"),
        ("PLATO_SAS_INPUT_PREFIXES", "{star},../x", "'../x' is not a folder below the volume's root"),
        ("PLATO_SAS_INPUT_PREFIXES", "/data", "'/data' is not a folder below the volume's root"),
        ("PLATO_SAS_MAX_OUTPUT_SIZE", "16GB", "'16GB' is not a size such as 16Gi"),
        ("PLATO_SAS_START_SECONDS", "9", "9 is less than 10"),
        ("PLATO_SAS_LOG_MAX_BYTES", "100", "100 is less than 4096"),
        ("PLATO_SAS_KEEP_LOGS", "yes", "'yes' is neither true nor false"),
        ("PLATO_SAS_ARCHIVE", "", "'' is neither true nor false"),
        ("PLATO_SAS_PRODUCTS", "products", "'products' is not an absolute path"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingInvalid) as error:
        Settings.from_environment(NEEDED | {name: value})
    assert str(error.value) == f"{name}: {told}"


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("PLATO_SAS_TOLERATIONS", "key=science", "list of tolerations"),
        ("PLATO_SAS_POD_ANNOTATIONS", '{"inject": false}', "object of strings"),
        ("PLATO_SAS_POD_LABELS", '["team"]', "object of strings"),
    ],
)
def test_what_is_not_the_json_wanted_is_named(name: str, value: str, wanted: str) -> None:
    with pytest.raises(SettingInvalid, match=f"^{name} is not a JSON {wanted}$"):
        Settings.from_environment(NEEDED | {name: value})


def test_lists_and_pairs() -> None:
    settings = Settings.from_environment(
        NEEDED
        | {
            "PLATO_SAS_IMAGE_PULL_SECRETS": "a,b",
            "PLATO_SAS_NODE_SELECTOR": "disk=fast,zone=",
            "PLATO_SAS_PRIORITY_CLASS": "low",
            "PLATO_SAS_POD_LABELS": '{"team": "sas"}',
            "PLATO_SAS_WORKERS": "3",
        }
    )
    assert settings.site.image_pull_secrets == ("a", "b")
    assert settings.site.node_selector == (("disk", "fast"), ("zone", ""))
    assert settings.site.priority_class == "low"
    assert settings.site.pod_labels == (("team", "sas"),)
    assert settings.workers == 3


def test_a_pod_has_one_identity_and_another_process_another() -> None:
    pod = NEEDED | {"POD_ID": "operator-abc", "PLATO_SAS_POD_UID": "1234"}
    assert Settings.from_environment(pod).identity == "operator-abc_1234"
    assert Settings.from_environment(NEEDED | {"POD_ID": "operator-abc"}).identity == "operator-abc"
    assert Settings.from_environment(NEEDED).identity != Settings.from_environment(NEEDED).identity


@pytest.mark.parametrize(("logs", "archive", "needed"), [("true", "false", True), ("false", "false", False)])
def test_the_products_volume_is_looked_for_where_it_is_needed(
    tmp_path: Path, logs: str, archive: str, needed: bool
) -> None:
    variables = NEEDED | {"PLATO_SAS_KEEP_LOGS": logs, "PLATO_SAS_ARCHIVE": archive}
    Settings.from_environment(variables | {"PLATO_SAS_PRODUCTS": str(tmp_path)}).check_volume()
    absent = Settings.from_environment(variables | {"PLATO_SAS_PRODUCTS": str(tmp_path / "absent")})
    if needed:
        with pytest.raises(SettingInvalid, match=r"^PLATO_SAS_PRODUCTS: '.*absent' is not a folder; mount"):
            absent.check_volume()
    else:
        absent.check_volume()


def test_variables_of_others_do_not_matter() -> None:
    assert Settings.from_environment(NEEDED | {"WORKERS": "x", "PLATO_OTHER": "y"}).workers > 0
