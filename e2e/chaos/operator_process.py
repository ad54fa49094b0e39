"""The operator as a process of this machine, started again whenever it ends, as its Deployment would."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from e2e.cluster.storage import OWNER
from e2e.processes.ports import free_port

_READY_SECONDS = 60
_STOP_SECONDS = 15
_PAUSE_SECONDS = 0.2
_TAIL = 15
_STUCK = "plato_sas_stuck_stars"
# The user of the modules' pods, as in the chart: its files on the volume must be usable by them. The project's own
# files may be readable for their owner only.
_AS_MODULES = (
    *(f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class OperatorNotReady(Exception):
    """It did not come up; the message has its last lines."""


@dataclass(frozen=True)
class Surrounding:
    """An operator's settings. `token` is its service account's; `log` gets its output."""

    namespace: str
    server: str
    token: str = field(repr=False)
    stager_image: str
    products: Path
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)


class OperatorProcess:
    """One operator. A context manager: started on entry and waited for, stopped at the end."""

    def __init__(self, name: str, surrounding: Surrounding) -> None:
        self._name = name
        self._surrounding = surrounding
        self._health = free_port()
        self._metrics = free_port()
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._struck: set[int] = set()
        self._supervisor = threading.Thread(target=self._supervise, name=f"operator-{name}", daemon=True)
        self.log = surrounding.folder / f"{name}.log"
        self.starts = 0
        self.ended_by_itself: list[int] = []
        """Exit codes of processes that nobody had asked to end."""

    def __enter__(self) -> "OperatorProcess":
        folder = self._surrounding.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(_kubeconfig(self._surrounding))
        self._wanted.set()
        self._supervisor.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _kubeconfig(self) -> Path:
        return self._surrounding.folder / f"{self._name}.kubeconfig"

    def kill(self) -> None:
        """SIGKILL, from any thread; it is then started again."""
        with self._lock:
            process = self._process
            if process is not None and process.poll() is None:
                self._struck.add(process.pid)
                process.send_signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the process until `thaw`; it does not notice the time in between."""
        self._signal(signal.SIGSTOP)

    def forgive(self) -> None:
        """Allow the present process to end by itself: it has lost its Lease."""
        with self._lock:
            if self._process is not None:
                self._struck.add(self._process.pid)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(what)

    def stop(self) -> None:
        """End it for good, as Kubernetes does: SIGTERM, then SIGKILL."""
        self._wanted.clear()
        with self._lock:
            process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
            process.wait(_STOP_SECONDS)
        self._supervisor.join(_STOP_SECONDS)
        self._kubeconfig.unlink(missing_ok=True)

    def healthy(self) -> bool:
        """Whether its liveness endpoint answers."""
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self._health}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stuck_stars(self) -> int | None:
        """How many stars it counts that stand still without a reason; None if it does not answer."""
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self._metrics}/metrics", timeout=1) as answer:
                families = text_string_to_metric_families(answer.read().decode())
        except OSError:
            return None
        return next((int(family.samples[0].value) for family in families if family.name == _STUCK), None)

    def wait_ready(self) -> None:
        """Raises OperatorNotReady."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self.healthy():
            if time.monotonic() >= deadline:
                raise OperatorNotReady(f"operator {self._name}: not ready in {_READY_SECONDS} s\n{self.tail()}")
            time.sleep(_PAUSE_SECONDS)

    def tail(self) -> str:
        """The end of its log."""
        with suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
        return ""

    def _supervise(self) -> None:
        # The parent-death signal counts the thread that started the process: this one lives as long as it is wanted.
        while self._wanted.is_set():
            with self._lock:
                process = self._process = self._start()
            code = process.wait()
            if self._wanted.is_set() and process.pid not in self._struck:
                self.ended_by_itself.append(code)
                time.sleep(1)  # the kubelet waits, too

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        around = self._surrounding
        environment = {
            **{key: value for key, value in os.environ.items() if not key.upper().endswith("_PROXY")},
            "KUBECONFIG": str(self._kubeconfig),
            "POD_ID": f"chaos-{self._name}",
            "PLATO_SAS_NAMESPACE": around.namespace,
            "PLATO_SAS_STAGER_IMAGE": around.stager_image,
            "PLATO_SAS_PRODUCTS": str(around.products),
            "PLATO_SAS_HEALTH_PORT": str(self._health),
            "PLATO_SAS_METRICS_PORT": str(self._metrics),
            **around.settings,
        }
        user = _AS_MODULES if os.geteuid() == 0 else ()
        with self.log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *user, sys.executable, "-m", "plato_sas.controller"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _kubeconfig(around: Surrounding) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "chaos",
            "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "operator"}}],
            "clusters": [{"name": "chaos", "cluster": {"server": around.server}}],
            "users": [{"name": "operator", "user": {"token": around.token}}],
        }
    )
