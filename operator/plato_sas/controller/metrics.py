"""What Prometheus can ask. No label has a value per star."""

from prometheus_client import Counter, Gauge, Histogram

API_REQUESTS = Counter(
    "plato_sas_api_requests_total", "Requests to the API server, without watches.", ["method", "code"]
)
QUEUE_DEPTH = Gauge("plato_sas_queue_depth", "Stars waiting to be reconciled.")
QUEUE_LATENCY = Histogram(
    "plato_sas_queue_latency_seconds",
    "Time from a star being marked dirty to its reconciliation.",
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300),
)
RECONCILES = Histogram(
    "plato_sas_reconcile_duration_seconds",
    "Duration of one reconciliation.",
    ["outcome"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
)
ACTIVE_STARS = Gauge("plato_sas_active_stars", "Stars that may have Jobs now.")
WAITING_STARS = Gauge("plato_sas_waiting_stars", "Stars waiting for a slot.")
KNOWN_STARS = Gauge("plato_sas_starprocessings", "StarProcessing resources in the view.")
JOBS = Gauge("plato_sas_jobs", "Jobs in the view, finished ones included.")
STEPS = Counter("plato_sas_steps_total", "Steps that became final.", ["module", "outcome"])
STEP_RETRIES = Counter("plato_sas_step_retries_total", "Attempts made again.", ["module", "failure_class"])
STEP_DURATION = Histogram(
    "plato_sas_step_duration_seconds",
    "Duration of successful steps, from the Job's start to its end.",
    ["module"],
    buckets=(1, 3, 10, 30, 60, 120, 300, 900, 3600, 14400),
)
LOOP_LAG = Histogram(
    "plato_sas_event_loop_lag_seconds",
    "How late a timer of the event loop fires.",
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1, 5),
)
