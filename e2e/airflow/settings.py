"""Airflow's home under `.local/airflow` and what is written there: configuration, secrets, passwords."""

import configparser
import hashlib
import io
import json
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.airflow.account import account_kubeconfig
from e2e.cluster.storage import NAMESPACE
from e2e.layout import KUBECONFIG, LOCAL, REPOSITORY, VOLUMES
from e2e.processes.ports import HOST

HOME = LOCAL / "airflow"
VENV_BIN = LOCAL / "venv" / "bin"
DAGS = REPOSITORY / "airflow_dags" / "dags"
CONNECTION = "plato_sas_kubernetes"
USER = "admin"
PREFERRED_PORT = 8080
# One process writes to SQLite at a time; on a busy machine the others wait longer than the usual 5 s.
_LOCKED_SECONDS = 60


@dataclass(frozen=True)
class Home:
    """Paths and settings of one Airflow installation.

    `folder`: AIRFLOW_HOME. `dags`: the DAGs' folder. `administrator`: whether the connection
    `plato_sas_kubernetes` uses the administrator's kubeconfig, for DAGs that need more than Airflow's own account may.
    `server`: address of a PostgreSQL with the database; a SQLite file in `folder` if empty. `options`: settings of
    `airflow.cfg` by section, which override those of the test platform.
    """

    folder: Path = HOME
    dags: Path = DAGS
    administrator: bool = False
    server: str = field(default="", repr=False)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @classmethod
    def started(cls) -> "list[Home]":
        """Every installation below `.local` that was ever started: the demo's, and those of tests and benchmarks."""
        return [cls(folder=file.parent) for depth in ("*", "*/*") for file in LOCAL.glob(f"{depth}/airflow.cfg")]

    @property
    def configuration(self) -> Path:
        return self.folder / "airflow.cfg"

    @property
    def kubeconfig(self) -> Path:
        """What the connection to Kubernetes reads."""
        return KUBECONFIG if self.administrator else self.folder / "kubeconfig"

    @property
    def passwords(self) -> Path:
        return self.folder / "passwords.json"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets.json"

    @property
    def database(self) -> Path:
        return self.folder / "airflow.db"

    @property
    def migrated(self) -> Path:
        """Says for which version of Airflow the database was migrated."""
        return self.folder / "migrated"

    @property
    def code(self) -> Path:
        """Says which code the running components loaded; the triggerer keeps what it has imported."""
        return self.folder / "code"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def processes(self) -> Path:
        return self.folder / "run"

    def password(self) -> str:
        """The password of the user `admin`; made at the first call."""
        return str(_private_json(self.passwords, lambda: {USER: secrets.token_urlsafe(18)})[USER])

    def environment(self) -> dict[str, str]:
        """The environment of every Airflow process: this configuration, and nothing of the user's own Airflow."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "PYTHON"))}
        return {
            **inherited,
            "PATH": f"{VENV_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW_CONFIG": str(self.configuration),
            f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps(
                {"conn_type": "kubernetes", "extra": {"kube_config_path": str(self.kubeconfig)}}
            ),
            "PYTHONUNBUFFERED": "1",
        }

    def connection(self, file: Path) -> str:
        """The address of the database as SQLAlchemy has it; `file`: the database of an Airflow without a server."""
        if self.server:
            return self.server.replace("postgresql:", "postgresql+psycopg2:", 1)
        return f"sqlite:///{file}?timeout={_LOCKED_SECONDS}"

    def render(self, port: int) -> str:
        """The text of `airflow.cfg` for an API server at `port`."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict(self._options(port))
        parser.read_dict(self.options)
        text = io.StringIO()
        parser.write(text)
        # Airflow reads a per cent sign as the start of an interpolation.
        return text.getvalue().replace("%", "%%")

    def write(self, port: int) -> None:
        """Write `airflow.cfg` for an API server at `port`."""
        _write_private(self.configuration, self.render(port))

    def write_kubeconfig(self) -> None:
        """Give Airflow a new token. Raises CommandFailed."""
        if not self.administrator:
            _write_private(self.kubeconfig, account_kubeconfig())

    def port(self) -> int | None:
        """The port in `airflow.cfg`, or None before the first start."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.configuration)
        return parser.getint("api", "port", fallback=None)

    def _options(self, port: int) -> dict[str, dict[str, str]]:
        """Settings for one user on two cores. Everything else is Airflow's default."""
        self.password()
        keys = _private_json(
            self.secrets,
            lambda: {
                "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "api_secret": secrets.token_hex(32),
                "jwt_secret": secrets.token_hex(32),
            },
        )
        return {
            "core": {
                "dags_folder": str(self.dags),
                "executor": "LocalExecutor",
                # The local executor keeps its workers waiting; each holds the scheduler's memory.
                "parallelism": "3",
                "load_examples": "False",
                "dags_are_paused_at_creation": "False",
                "fernet_key": keys["fernet_key"],
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": str(self.passwords),
                "execution_api_server_url": f"http://{HOST}:{port}/execution/",
                # The default asks the DNS for the machine's name, which may hang without a network.
                "hostname_callable": "socket.gethostname",
                "plugins_folder": str(self.folder / "plugins"),
            },
            "api": {
                "host": HOST,
                "port": str(port),
                "base_url": f"http://{HOST}:{port}",
                "secret_key": keys["api_secret"],
                "workers": "1",
                "instance_name": "PLATO SAS",
            },
            "api_auth": {"jwt_secret": keys["jwt_secret"]},
            "database": {"sql_alchemy_conn": self.connection(self.database)},
            "dag_processor": {
                "parsing_processes": "1",
                "refresh_interval": "10",
                "min_file_process_interval": "30",
            },
            "scheduler": {"scheduler_idle_sleep_time": "0.5", "enable_health_check": "False"},
            "triggerer": {"capacity": "100"},
            # With the default of 5 s tasks fail where images are built at the same time on two cores.
            "workers": {"execution_api_timeout": "60"},
            "logging": {"base_log_folder": str(self.logs), "colored_console_log": "False"},
            "usage_data_collection": {"enabled": "False"},
            "plato_sas": {
                "connection": CONNECTION,
                "namespace": NAMESPACE,
                "pipeline": "sas-demo",
                "campaign": "demo",
                "inputs_url": str(VOLUMES / "inputs"),
            },
        }


def code_digest() -> str:
    """Digest of the Airflow package and of the models that it uses, as they are on disk."""
    digest = hashlib.sha256()
    for package in ("airflow_dags/plato_sas_airflow", "operator/plato_sas/api"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            digest.update(f"{path.relative_to(REPOSITORY)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _write_private(path: Path, text: str) -> None:
    """Replace `path`; only its owner may read it, from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(path)


def _private_json(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The JSON object in `path`, which is made if it is not there."""
    if not path.exists():
        _write_private(path, json.dumps(make()) + "\n")
    content: dict[str, str] = json.loads(path.read_text())
    return content
