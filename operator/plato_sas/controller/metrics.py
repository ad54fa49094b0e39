"""Metrics for Prometheus; no label has a value per star. `docs/reference/metrics.md` is generated from them.

Prometheus sees a counter's first increase only if the counter was there with 0 before. So every label value that is
known exists from the start, and a module's as soon as the module is known.
"""

from itertools import product

from prometheus_client import Counter, Gauge, Histogram

from plato_sas.api import StepState
from plato_sas.jobs.failure import FailureClass

_KINDS = ("StarProcessing", "StarCatalogue")
_OUTCOMES = [state.value for state in StepState if state.final]
_RETRIED = [kind.value for kind in FailureClass if kind is not FailureClass.SCIENCE]

API_REQUESTS = Counter(
    "plato_sas_api_requests_total",
    "Requests to the API server, by HTTP status (error: no answer). The lists and watches of kopf are not counted.",
    ["method", "code"],
)
QUEUE_DEPTH = Gauge(
    "plato_sas_queue_depth", "Resources waiting to be reconciled, by kind (StarProcessing, StarCatalogue).", ["kind"]
)
QUEUE_LATENCY = Histogram(
    "plato_sas_queue_latency_seconds",
    "How long a resource waited to be reconciled.",
    ["kind"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300),
)
RECONCILES = Histogram(
    "plato_sas_reconcile_duration_seconds",
    "Duration of one reconciliation, by kind and outcome (ok, api_error, error).",
    ["kind", "outcome"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
)
RECONCILE_ERRORS = Counter(
    "plato_sas_reconcile_errors_total", "Reconciliations in which the operator itself failed, by kind.", ["kind"]
)
STUCK_STARS = Gauge(
    "plato_sas_stuck_stars",
    "Stars without Job, reason and change for longer than controller.stuckSeconds. More than 0 is a fault.",
)
ACTIVE_STARS = Gauge("plato_sas_active_stars", "Stars that may have Jobs now.")
WAITING_STARS = Gauge("plato_sas_waiting_stars", "Stars waiting for a slot.")
KNOWN_STARS = Gauge("plato_sas_starprocessings", "StarProcessing resources that the operator holds in memory.")
JOBS = Gauge("plato_sas_jobs", "Jobs that the operator holds in memory, by state (active, finished).", ["state"])
STEPS = Counter(
    "plato_sas_steps_total",
    "Steps that became final, by module and outcome (the state, such as Succeeded).",
    ["module", "outcome"],
)
STEP_RETRIES = Counter(
    "plato_sas_step_retries_total", "Retries of steps, by module and class of failure.", ["module", "failure_class"]
)
STEP_DURATION = Histogram(
    "plato_sas_step_duration_seconds",
    "Duration of successful steps, from the start of their container to its end.",
    ["module"],
    buckets=(1, 3, 10, 30, 60, 120, 300, 900, 3600, 14400),
)
LOOP_LAG = Histogram(
    "plato_sas_event_loop_lag_seconds",
    "How late a timer of the operator's event loop fires.",
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1, 5),
)
LEADER = Gauge("plato_sas_leader", "1 while the operator holds its Lease and may write, else 0.")
LOGS = Counter(
    "plato_sas_logs_total",
    "Log files of Jobs written to the products volume, by outcome (complete, or incomplete: a part was unreadable).",
    ["outcome"],
)
LOGS_WAITING = Gauge("plato_sas_logs_waiting", "Finished Jobs whose logs are not on the products volume yet.")
LOG_ERRORS = Counter(
    "plato_sas_log_errors_total", "Failed tries to fetch or to write a log file, by place (fetch, write).", ["at"]
)
ARCHIVED = Counter("plato_sas_archive_records_total", "Records of finished stars written to the products volume.")
ARCHIVE_ERRORS = Counter("plato_sas_archive_errors_total", "Failed tries to write records of finished stars.")


def announce_module(module: str) -> None:
    """Show a module's counters with 0, before any of its steps is final."""
    STEP_DURATION.labels(module)
    for outcome in _OUTCOMES:
        STEPS.labels(module, outcome)
    for failure_class in _RETRIED:
        STEP_RETRIES.labels(module, failure_class)


for _method in ("DELETE", "GET", "PATCH", "POST"):
    API_REQUESTS.labels(_method, "error")
for _kind, _outcome in product(_KINDS, ("ok", "api_error", "error")):
    RECONCILES.labels(_kind, _outcome)
for _kind in _KINDS:
    RECONCILE_ERRORS.labels(_kind)
for _outcome in ("complete", "incomplete"):
    LOGS.labels(_outcome)
for _place in ("fetch", "write"):
    LOG_ERRORS.labels(_place)
