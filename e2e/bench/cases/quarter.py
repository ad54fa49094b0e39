"""A quarter through Airflow: what it costs to have stars created and watched by `plato_sas_quarter`.

Airflow has a PostgreSQL, as it would at a site; the pods run on simulated nodes, so that the modules take no
time. No StarCatalogue is made: its Job would have to do real work.
"""

import asyncio
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from e2e.airflow.api import AirflowApi, AirflowApiError, timestamp
from e2e.airflow.postgres import Server, postgres
from e2e.airflow.service import QUARTER_DAG, AirflowService, AirflowServiceError
from e2e.airflow.settings import Home
from e2e.bench.measure import cpu, pipelines
from e2e.bench.measure.api import STARS as STARS_PATH
from e2e.bench.measure.api import connect
from e2e.bench.measure.database import Database, grown
from e2e.bench.measure.figures import rate_by_batch
from e2e.bench.measure.options import Options
from e2e.bench.measure.simulator import simulated_nodes
from e2e.bench.measure.simulator import values as simulator_values
from e2e.bench.measure.site import BenchError, Site, bench_site
from e2e.bench.report.result import FOLDER, Bar, Figure, Result
from e2e.cluster.waiting import wait_until
from e2e.processes.daemon import Daemon, ProcessError, resident_bytes
from e2e.progress import phase
from plato_sas.api import Document

STARS = 10_000
PLANNED = 250_000
_BATCH = 1000
_QUICK_STARS = 100
_QUICK_PLANNED = 2_000
_QUICK_BATCH = 25
_MOST_TASKS = 500
_PIPELINE = "bench-quarter"
_POOL = "stars"
_TASK = "stars"
_EXPANSION_SECONDS = 600
_RUN_SECONDS = 3 * 3600
_SAMPLE_SECONDS = 5.0
_SAMPLES = (("P1", 40), ("P2", 30), ("P4", 20), ("P5", 10))


def run(options: Options) -> Result:
    """Raises BenchError, and the platform's own errors."""
    stars = options.stars or (_QUICK_STARS if options.quick else STARS)
    values = (
        *simulator_values(),
        f"controller.maxActiveStars={min(options.window, stars)}",
        "controller.jobTtlSeconds=1",
        "resources.limits.memory=4Gi",
    )
    folder = FOLDER / "airflow-quarter"
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with (
            bench_site(values=values) as site,
            simulated_nodes(),
            postgres(FOLDER / "postgres.log") as server,
            _airflow(server.url, folder) as service,
            service.api() as api,
        ):
            site.apply(pipelines.chain(_PIPELINE, options.steps))
            batch = _QUICK_BATCH if options.quick else _BATCH
            quarter = Quarter(api, service, server, site, folder, batch)
            planned = quarter.planned(_QUICK_PLANNED if options.quick else PLANNED)
            return _result(planned, quarter.processed(stars))
    except (AirflowApiError, AirflowServiceError, ProcessError) as error:
        raise BenchError(f"Airflow: {error}") from error


@contextmanager
def _airflow(server: str, folder: Path) -> Iterator[AirflowService]:
    """An Airflow of its own whose tasks of stars have a pool of their own."""
    home = Home(folder=folder, server=server, options={"plato_sas": {"pool": _POOL}})
    service = AirflowService(home=home)
    try:
        service.down()  # a killed run leaves another database
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        service.up()
        yield service
    finally:
        service.down()


@dataclass(frozen=True)
class Planned:
    """A run whose stars were planned and not begun. `seconds`: from the trigger to the last mapped task."""

    stars: int
    mapped: int
    seconds: float
    parse_seconds: float | None
    rows: dict[str, int]


@dataclass(frozen=True)
class Processed:
    """A run whose stars have all ended.

    Times in seconds. `working`: from the first star's creation to the last one's end. `rates`: stars per second of each
    tenth. `memory`: MiB of each component before, and at its largest. `airflow` and `cpu`: processor time by component,
    and by part of the platform.
    """

    stars: int
    wall: float
    working: float
    rates: list[float]
    instances: int
    tasks: dict[str, float]
    memory: dict[str, tuple[float, float]]
    airflow: dict[str, float]
    cpu: dict[str, float]
    rows: dict[str, int]
    mebibytes: float


@dataclass
class Quarter:
    """Runs of `plato_sas_quarter`. `batch`: stars in a task."""

    api: AirflowApi
    service: AirflowService
    server: Server
    site: Site
    folder: Path
    batch: int

    @property
    def database(self) -> Database:
        return Database(self.server.url)

    def planned(self, stars: int) -> Planned:
        """Have a run planned while the pool of its star tasks has no slots, then give it up."""
        self.api.set_pool(_POOL, 0)
        before, began = self.database.rows(), time.monotonic()
        run_id = self._trigger(stars, "planned")
        with phase(f"{stars} stars planned") as running:

            def lacking() -> str:
                mapped = self.database.mapped(run_id, _TASK)
                running.detail = f"{mapped} mapped tasks"
                state = self.api.run(QUARTER_DAG, run_id)["state"]
                if state == "failed":
                    raise BenchError(f"run {run_id} failed; {self.api.run_page(QUARTER_DAG, run_id)}")
                return "" if mapped else "the mapped tasks"

            wait_until(lacking, what="plan of the quarter", timeout=_EXPANSION_SECONDS)
        seconds = time.monotonic() - began
        found = self.api.dag(QUARTER_DAG) or {}
        planned = Planned(
            stars,
            self.database.mapped(run_id, _TASK),
            seconds,
            found.get("last_parse_duration"),
            grown(before, self.database.rows()),
        )
        self.api.set_run_state(QUARTER_DAG, run_id, "failed")
        return planned

    def processed(self, stars: int) -> Processed:
        """Take stars through a whole run. Raises BenchError unless every one of them succeeds."""
        self.api.set_pool(_POOL, 128)
        rows, size = self.database.rows(), self.database.mebibytes()
        footprint, stored, used = (
            Footprint(self.service.daemons),
            cpu.family_seconds(self.server.pid),
            cpu.Usage.take(),
        )
        run_id = self._trigger(stars, "processed")
        with phase(f"{stars} stars through {QUARTER_DAG}") as running:

            def look(tasks: dict[str, str]) -> None:
                footprint.sample()
                states = sorted(tasks.values())
                running.detail = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))

            result = self.api.wait_run(QUARTER_DAG, run_id, _RUN_SECONDS, look)
        if not result.succeeded:
            raise BenchError(f"run {run_id} is {result.state}; {self.api.run_page(QUARTER_DAG, run_id)}")
        platform, airflow = cpu.Usage.take().since(used), footprint.seconds()
        created, ended = asyncio.run(_times(self.site, stars))
        ran = self.api.run(QUARTER_DAG, run_id)
        instances = self.api.task_instances(QUARTER_DAG, run_id)
        return Processed(
            stars=stars,
            wall=timestamp(ran["end_date"]) - timestamp(ran["queued_at"]),
            working=ended[-1] - created[0],
            rates=rate_by_batch(ended, max(2, stars // 10)),
            instances=len(instances),
            tasks=_durations(instances),
            memory=footprint.memory(),
            airflow=airflow,
            cpu={
                "airflow": sum(airflow.values()),
                "postgres": cpu.family_seconds(self.server.pid) - stored,
                **{name: platform[name] for name in platform if name != "bench"},
            },
            rows=grown(rows, self.database.rows()),
            mebibytes=self.database.mebibytes() - size,
        )

    def _trigger(self, stars: int, campaign: str) -> str:
        targets = self.folder / f"{campaign}.csv"
        targets.write_text("\n".join(["star,sample,priority", *_targets(stars, campaign)]) + "\n")
        return self.api.trigger_dag(
            QUARTER_DAG,
            {
                "campaign": campaign,
                "pipeline": _PIPELINE,
                "namespace": self.site.namespace,
                "target_list": str(targets),
                "previous_campaign": "none",
                "batch_size": self.batch,
                "catalogue": False,
            },
        )


def _targets(stars: int, prefix: str) -> Iterator[str]:
    """Lines of a target list: each sample has a quarter of the stars, as one piece."""
    for number in range(stars):
        sample, priority = _SAMPLES[number * len(_SAMPLES) // stars]
        yield f"{prefix}-{number:06d},{sample},{priority}"


def _durations(instances: Sequence[Document]) -> dict[str, float]:
    """Seconds of each task; of a mapped one, of its longest instance."""
    longest: dict[str, float] = {}
    for one in instances:
        longest[one["task_id"]] = max(longest.get(one["task_id"], 0.0), round(one["duration"] or 0.0, 1))
    return longest


async def _times(site: Site, stars: int) -> tuple[list[float], list[float]]:
    """When stars were created, and when they ended (Unix time, whole seconds), sorted. Raises BenchError."""
    async with connect() as api:
        items, _ = await api.list(STARS_PATH.format(namespace=site.namespace))
    succeeded = [one for one in items if one.get("status", {}).get("state") == "Succeeded"]
    if len(succeeded) != stars:
        raise BenchError(f"{len(succeeded)} of {stars} stars have succeeded")
    return (
        sorted(timestamp(one["metadata"]["creationTimestamp"]) for one in succeeded),
        sorted(timestamp(one["status"]["finishedAt"]) for one in succeeded),
    )


@dataclass
class Footprint:
    """Memory and processor time of Airflow's components, from now on."""

    daemons: Sequence[Daemon]
    _before: dict[str, float] = field(default_factory=dict[str, float])
    _largest: dict[str, float] = field(default_factory=dict[str, float])
    _used: dict[str, float] = field(default_factory=dict[str, float])
    _sampled: float = 0.0

    def __post_init__(self) -> None:
        self._before = self._memory()
        self._largest = dict(self._before)
        self._used = self._seconds()

    def sample(self) -> None:
        """Look, unless that was done just now."""
        if time.monotonic() - self._sampled >= _SAMPLE_SECONDS:
            self._sampled = time.monotonic()
            for name, value in self._memory().items():
                self._largest[name] = max(self._largest[name], value)

    def memory(self) -> dict[str, tuple[float, float]]:
        """MiB of each component: at the beginning, and the largest seen."""
        return {name: (round(self._before[name], 1), round(self._largest[name], 1)) for name in self._before}

    def seconds(self) -> dict[str, float]:
        """Processor time of each component since the beginning; the scheduler's has that of the tasks."""
        return {name: round(value - self._used[name], 1) for name, value in self._seconds().items()}

    def _memory(self) -> dict[str, float]:
        return {daemon.name: resident_bytes(daemon.members()) / 2**20 for daemon in self.daemons}

    def _seconds(self) -> dict[str, float]:
        return {
            daemon.name: sum(cpu.seconds(pid, children=True) for pid in daemon.members()) for daemon in self.daemons
        }


def _result(planned: Planned, processed: Processed) -> Result:
    around = processed.wall - processed.working
    return Result(
        name="quarter",
        title=f"{processed.stars} stars through {QUARTER_DAG}: Airflow's share of the wall time",
        figure=round(around / processed.wall, 4),
        unit="",
        bar=None,
        compared_with={
            "wall time, from queued to ended [s]": round(processed.wall, 1),
            "from the first star's creation to the last one's end [s]": round(processed.working, 1),
        },
        further=[
            Figure(f"mapped tasks of {planned.stars} stars", planned.mapped, "", Bar("<=", _MOST_TASKS)),
            Figure("task instances", processed.instances, ""),
            Figure("the triggerer's memory, largest", processed.memory["triggerer"][1], "MiB"),
            Figure("stars per second", round(processed.stars / processed.working, 2), "1/s"),
            Figure(
                "Airflow's and its database's share of the processor time",
                round((processed.cpu["airflow"] + processed.cpu["postgres"]) / sum(processed.cpu.values()), 3),
                "",
            ),
        ],
        details={
            "planned": {
                "stars": planned.stars,
                "mappedTasks": planned.mapped,
                "secondsFromTrigger": round(planned.seconds, 1),
                "dagParseSeconds": planned.parse_seconds,
                "databaseRows": planned.rows,
                "databaseRowsInAll": sum(planned.rows.values()),
            },
            "starsPerSecondOfEachTenth": [
                # Ends are known to the second: a few stars may end in the same one.
                round(rate, 2) if math.isfinite(rate) else None
                for rate in processed.rates
            ],
            "taskSeconds": processed.tasks,
            "memoryMiB": processed.memory,
            "airflowCpuSeconds": processed.airflow,
            "cpuSeconds": {name: round(value, 1) for name, value in processed.cpu.items()},
            "databaseRows": processed.rows,
            "databaseRowsInAll": sum(processed.rows.values()),
            "databaseGrowthMiB": round(processed.mebibytes, 1),
        },
    )
