"""Notifications of failed runs and missed deadlines: always to the log, and to the site's notifier if there is one."""

import logging
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from plato_sas_airflow.deadlines import RunQueued
from plato_sas_airflow.settings import Settings, SettingsError, as_text

log = logging.getLogger(__name__)


def failed_run_callback(settings: Settings) -> list[Any]:
    """The `on_failure_callback` of a DAG. It runs in the DAG processor."""

    def notify(context: Mapping[str, Any]) -> None:
        run = context.get("dag_run")
        log.error("Run %s of %s failed: %s", context.get("run_id"), run and run.dag_id, context.get("reason", ""))
        if settings.notifier:
            _notifier(settings.notifier)(**settings.notifier_arguments)(context)

    return [notify]


def deadline_alert(settings: Settings, name: str) -> DeadlineAlert | None:
    """The alert for a run that takes longer than the setting `<name>_alert`. It runs in the triggerer."""
    after = getattr(settings, f"{name}_alert")
    if after is None:
        return None
    return DeadlineAlert(
        reference=RunQueued(),
        interval=after,
        callback=AsyncCallback(f"{__name__}.missed_deadline", kwargs={"after": as_text(after)}),
        name=f"{name}_alert",
    )


async def missed_deadline(after: str, context: Mapping[str, Any] | None = None) -> None:
    """Report a run that has not finished in time; the run continues. The triggerer's settings name the notifier."""
    run = (context or {}).get("dag_run") or {}
    log.warning("Run %s of %s has not finished %s after it was queued", _of(run, "run_id"), _of(run, "dag_id"), after)
    settings = Settings.read()
    if settings.notifier:
        made = _notifier(settings.notifier)(**settings.notifier_arguments)
        made.context = dict(context or {})  # type: ignore[assignment]
        await made


def _of(run: object, name: str) -> object:
    """A field of the run. Airflow passes the run as JSON, where `run_id` is `dag_run_id`."""
    if isinstance(run, Mapping):
        return run.get(name, run.get(f"dag_{name}"))
    return getattr(run, name, None)


def _notifier(path: str) -> type[BaseNotifier]:
    try:
        found = resolve_name(path)
    except (ValueError, ImportError, AttributeError) as error:
        raise SettingsError(f"[plato_sas] notifier: {path} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise SettingsError(f"[plato_sas] notifier: {path} is not a notifier of Airflow")
    return found
