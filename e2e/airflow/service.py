"""Bring Airflow up and down."""

import shutil
import subprocess
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

from e2e.airflow.api import AirflowApi, AirflowApiError, timestamp
from e2e.airflow.settings import PREFERRED_PORT, USER, VENV_BIN, Home, code_digest
from e2e.processes.command import CommandFailed
from e2e.processes.daemon import Daemon, resident_bytes, stop
from e2e.processes.locking import LockTimeout, exclusive
from e2e.processes.ports import HOST, free_port
from e2e.progress import phase

QUARTER_DAG = "plato_sas_quarter"
_COMMANDS = {
    "api-server": ("api-server",),
    # Their log servers listen on every address, and serve files that the API server reads by itself.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
# The component's name in /api/v2/monitor/health.
_HEARTBEATS = ("scheduler", "triggerer", "dag_processor")
_API = "API server"
_MIGRATE_SECONDS = 600
_READY_SECONDS = 240
_STOP_SECONDS = 20
_LOCK_SECONDS = 1500  # more than another command may take
_POLL_SECONDS = 0.25


class AirflowServiceError(Exception):
    """Airflow did not come up, or is not up."""


@dataclass(frozen=True)
class AirflowService:
    """One Airflow on this machine. `dag_id`: the DAG that must be parsed before Airflow counts as up."""

    home: Home = field(default_factory=Home)
    dag_id: str = QUARTER_DAG

    @property
    def daemons(self) -> list[Daemon]:
        return [Daemon(name, self.home.processes) for name in _COMMANDS]

    @property
    def _dag_lacking(self) -> str:
        return f"DAG {self.dag_id}"

    @property
    def url(self) -> str:
        """Where the API and the pages are. Raises AirflowServiceError before the first start."""
        port = self.home.port()
        if port is None:
            raise AirflowServiceError("Airflow was never started here; run `python -m e2e.airflow up`")
        return f"http://{HOST}:{port}"

    def api(self) -> AirflowApi:
        return AirflowApi(self.url, USER, self.home.password())

    def up(self) -> None:
        """Make sure that Airflow runs, is healthy and has parsed its DAG; starts only what is missing.

        Raises AirflowServiceError with the end of the log that shows why it did not come up, AirflowApiError when the
        API server fails, and ProcessError when a process can be neither started nor stopped.
        """
        with self._exclusive():
            self._authenticate()
            keep = {daemon.name for daemon in self.daemons if daemon.running()} if self._current() else set()
            left = [daemon for daemon in self.daemons if daemon.name not in keep and daemon.members()]
            if left:
                with phase("Airflow: stopping what an earlier run left"):
                    stop(left, _STOP_SECONDS)
            if not keep:
                self.home.write(free_port(self.home.port() or PREFERRED_PORT))
                self._migrate()
                self.home.code.write_text(code_digest())
            missing = [daemon for daemon in self.daemons if daemon.name not in keep]
            if missing or self._lacking():
                self._start(missing)

    def _authenticate(self) -> None:
        try:
            self.home.write_kubeconfig()
        except CommandFailed as error:
            raise AirflowServiceError(f"no token for Airflow's account: {error}") from None

    def _start(self, missing: Sequence[Daemon]) -> None:
        """Start the missing components and wait until all are well."""
        began = time.time()
        environment = self.home.environment()
        waiting = {daemon.name: daemon for daemon in missing}
        fresh = {name.replace("-", "_") for name in waiting}
        with phase("Airflow: starting") as running:
            lacking = self._lacking(fresh, began)
            while lacking:
                if "scheduler" in waiting and _API not in lacking:
                    with self.api() as api:
                        api.warm_up(_READY_SECONDS)
                for daemon in list(waiting.values()):
                    # A task that the scheduler starts while there is no API server fails.
                    if daemon.name != "scheduler" or _API not in lacking:
                        daemon.start([str(VENV_BIN / "airflow"), *_COMMANDS[daemon.name]], environment)
                        del waiting[daemon.name]
                self._check_alive(waiting)
                time.sleep(_POLL_SECONDS)
                lacking = self._lacking(fresh, began)
                running.detail = f"waiting for {', '.join(lacking)}" if lacking else self.url
                if lacking == [self._dag_lacking]:
                    self._check_imports(since=began)
                if lacking and running.seconds > _READY_SECONDS:
                    raise AirflowServiceError(
                        f"Airflow is not ready after {_READY_SECONDS} s; not there: {', '.join(lacking)}; "
                        f"its logs are in {self.home.processes}"
                    )

    def down(self) -> None:
        """Stop every process; the database and the logs stay."""
        with self._exclusive():
            if any(daemon.members() for daemon in self.daemons):
                with phase("Airflow: stopping"):
                    stop(self.daemons, _STOP_SECONDS)

    def running(self) -> bool:
        return all(daemon.running() for daemon in self.daemons)

    def status(self) -> dict[str, str]:
        """Each component's state in words."""
        lines = {}
        for daemon in self.daemons:
            pids, recorded = daemon.members(), daemon.recorded()
            if recorded is not None and daemon.running():
                lines[daemon.name] = f"running, pid {recorded.pid}, {resident_bytes(pids) / 2**20:.0f} MiB"
            else:
                lines[daemon.name] = f"stopped, left behind: {pids}" if pids else "stopped"
        if self.running():
            lacking = self._lacking()
            lines["health"] = f"waiting for {', '.join(lacking)}" if lacking else "healthy"
            lines["page"] = f"{self.url} (user {USER}, password in {self.home.passwords})"
        return lines

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Only one command at a time starts or stops this Airflow."""
        waiting = "waiting for another command that starts or stops Airflow"
        try:
            with exclusive(self.home.folder / "lock", timeout=_LOCK_SECONDS, waiting=waiting):
                yield
        except LockTimeout as error:
            raise AirflowServiceError(str(error)) from None

    def _current(self) -> bool:
        """Whether the API server runs with the settings and the code that a start would use now."""
        home, port = self.home, self.home.port()
        return (
            any(daemon.name == "api-server" and daemon.running() for daemon in self.daemons)
            and port is not None
            and home.configuration.read_text() == home.render(port)
            and home.code.exists()
            and home.code.read_text() == code_digest()
        )

    def _lacking(self, fresh: Container[str] = (), since: float = 0.0) -> list[str]:
        """What is still missing.

        Of the components in `fresh`, only signs of life after `since` (seconds since the epoch) count: the database
        still has those of their predecessors.
        """
        with self.api() as api:
            try:
                health = api.health()
                dag = api.dag(self.dag_id)
            except AirflowApiError:
                return [_API]
        lacking = []
        for name in _HEARTBEATS:
            seen = timestamp(health[name][f"latest_{name}_heartbeat"])
            if health[name]["status"] != "healthy" or (name in fresh and seen < since):
                lacking.append(name.replace("_", " "))
        parsed = timestamp(dag["last_parsed_time"]) if dag is not None and not dag["is_stale"] else -1.0
        if parsed < (since if "dag_processor" in fresh else 0.0):
            lacking.append(self._dag_lacking)
        return lacking

    def _check_imports(self, since: float) -> None:
        with self.api() as api:
            errors = [one for one in api.import_errors() if timestamp(one["timestamp"]) >= since]
        for error in errors:
            reason = error["stack_trace"].strip().splitlines()[-1]
            raise AirflowServiceError(f"DAG file {error['filename']} cannot be imported: {reason}")

    def _check_alive(self, not_started: Container[str]) -> None:
        for daemon in self.daemons:
            if daemon.name not in not_started and not daemon.running():
                raise AirflowServiceError(f"Airflow's {daemon.name} ended; {daemon.log} ends with:\n{daemon.tail()}")

    def _migrate(self) -> None:
        """Make or upgrade the database, unless that was done for this version of Airflow.

        A file is migrated as a copy: what an interrupted migration leaves is never used.
        """
        if self.home.server:
            with phase("Airflow: preparing its database"):
                self._run_migration(self.home.connection(self.home.database))
            return
        wanted = version("apache-airflow-core")
        database, draft = self.home.database, self.home.folder / "airflow.db.draft"
        if database.exists() and self.home.migrated.exists() and self.home.migrated.read_text() == wanted:
            return
        with phase("Airflow: preparing its database"):
            draft.unlink(missing_ok=True)
            if database.exists():
                shutil.copyfile(database, draft)
            self._run_migration(self.home.connection(draft))
            draft.chmod(0o600)
            draft.replace(database)
            self.home.migrated.write_text(wanted)

    def _run_migration(self, connection: str) -> None:
        try:
            done = subprocess.run(
                [str(VENV_BIN / "airflow"), "db", "migrate"],
                env={**self.home.environment(), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": connection},
                cwd=self.home.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_MIGRATE_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise AirflowServiceError(f"airflow db migrate did not end within {_MIGRATE_SECONDS} s") from error
        if done.returncode != 0:
            output = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise AirflowServiceError(f"airflow db migrate failed:\n{output}")
