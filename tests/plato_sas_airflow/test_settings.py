"""The section [plato_sas]: every option, what it is read as, and what is told of one that is not valid."""

import re
from datetime import timedelta

import pytest
from airflow.providers_manager import ProvidersManager

from plato_sas_airflow.settings import SECTION, Settings, SettingsError
from tests.plato_sas_airflow.testbed import REPOSITORY


def test_without_a_setting_there_is_a_default() -> None:
    assert Settings.read() == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "250", 250),
        ("max_failed_fraction", "0.25", 0.25),
        ("batch_timeout", "36h", timedelta(hours=36)),
        ("settle_time", "90s", timedelta(seconds=90)),
        ("star_alert", "2h", timedelta(hours=2)),
        ("star_alert", "never", None),
        ("sample_priorities", '{"P1": 5}', {"P1": 5}),
        ("notifier_arguments", '{"to": "sas@example.org"}', {"to": "sas@example.org"}),
        ("work_url", "s3://sas@work/airflow", "s3://sas@work/airflow"),
        ("retries", "0", 0),
    ],
)
def test_the_environment_sets_an_option(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"AIRFLOW__PLATO_SAS__{name.upper()}", text)
    assert getattr(Settings.read(), name) == value


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("batch_size", "many", "valid integer"),
        ("batch_size", "0", "greater than or equal to 1"),
        ("max_failed_fraction", "2", "less than or equal to 1"),
        ("batch_timeout", "1 week", "is not a duration such as 90s, 20m, 6h or 7d"),
        ("batch_timeout", "-7d", "is not a duration"),
        ("batch_timeout", "never", "is not a duration"),
        ("star_alert", "sometimes", "is not a duration"),
        ("sample_priorities", "P1=5", "is not JSON"),
        ("sample_priorities", '{"P1": 5000}', "less than or equal to 1000"),
        ("light_curve_path", "DP1.h5", "lacks {star}"),
        ("light_curve_path", "{star}/{quarter}.h5", "names other than {star} and {campaign}"),
        ("sample_priorities", "[1]", "valid dictionary"),
    ],
)
def test_what_is_not_valid_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str, problem: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__PLATO_SAS__{name.upper()}", text)
    with pytest.raises(SettingsError, match=rf"^\[plato_sas\] {name}.*{re.escape(problem)}"):
        Settings.read()


def test_airflow_is_told_of_every_option() -> None:
    options = Settings.provider_options()
    assert set(options) == set(Settings.model_fields)
    assert all(option["description"].endswith(".") and option["type"] == "string" for option in options.values())
    known = dict(ProvidersManager().provider_configs)["plato-sas"]
    assert options.items() <= known[SECTION]["options"].items()


def test_the_reference_has_the_table_of_settings() -> None:
    page = (REPOSITORY / "docs" / "reference" / "airflow-settings.md").read_text()
    assert Settings.table() in page, "paste what `python -m plato_sas_airflow.settings` prints"
