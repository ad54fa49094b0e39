"""Settings from the environment; an error names its variable."""

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
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingInvalid) as error:
        Settings.from_environment(NEEDED | {name: value})
    assert str(error.value) == f"{name}: {told}"


def test_lists_and_pairs() -> None:
    settings = Settings.from_environment(
        NEEDED
        | {
            "PLATO_SAS_IMAGE_PULL_SECRETS": "a,b",
            "PLATO_SAS_NODE_SELECTOR": "disk=fast,zone=",
            "PLATO_SAS_PRIORITY_CLASS": "low",
            "PLATO_SAS_WORKERS": "3",
        }
    )
    assert settings.site.image_pull_secrets == ("a", "b")
    assert settings.site.node_selector == (("disk", "fast"), ("zone", ""))
    assert settings.site.priority_class == "low"
    assert settings.workers == 3


def test_variables_of_others_do_not_matter() -> None:
    assert Settings.from_environment(NEEDED | {"WORKERS": "x", "PLATO_OTHER": "y"}).workers > 0
