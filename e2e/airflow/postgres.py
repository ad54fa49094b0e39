"""PostgreSQL for one Airflow: a server from Debian's package on the loopback address, and nothing left of it.

PostgreSQL refuses to run as root, so that its files cannot be in the checkout, which another user need not be able to
enter.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from e2e.airflow.processes import ProcessError
from e2e.airflow.settings import HOST, free_port
from e2e.cluster.processes import end
from e2e.processes import start

_PACKAGES = Path("/usr/lib/postgresql")
_USER = "postgres"  # of the machine, made by Debian's package; the server's own administrator has the name, too
_READY_SECONDS = 60
_INITIAL_SECONDS = 120
_GRACE_SECONDS = 20.0
_POLL_SECONDS = 0.1
_CONNECTIONS = 200  # Airflow's components hold some ten each


def programs() -> Path | None:
    """The folder with the newest `initdb` and `postgres` of this machine; None where there are none."""
    found = [folder / "bin" for folder in _PACKAGES.glob("*") if (folder / "bin" / "initdb").exists()]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


@contextmanager
def postgres(log: Path) -> Iterator[str]:
    """A server with an empty database; gives its address in libpq's form (`postgresql://`). Raises ProcessError."""
    folder = programs()
    if folder is None:
        raise ProcessError(f"no PostgreSQL below {_PACKAGES}: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="plato-sas-postgres-") as temporary:
        home = Path(temporary)
        password = secrets.token_urlsafe(18)
        _initialise(folder, home, password)
        port = free_port(5432)
        url = f"postgresql://{_USER}:{password}@{HOST}:{port}/postgres"
        log.unlink(missing_ok=True)
        command = [
            str(folder / "postgres"),
            "-D",
            str(home / "data"),
            "-p",
            str(port),
            "-c",
            f"listen_addresses={HOST}",
        ]
        command += ["-c", "unix_socket_directories=", "-c", f"max_connections={_CONNECTIONS}"]
        try:
            record = start(_as_user(command), log=log, environment={"LC_ALL": "C"}, folder=home)
        except OSError as error:
            raise ProcessError(f"PostgreSQL cannot be started: {error}") from error
        try:
            _wait(url, record.alive, log)
            yield url
        finally:
            # A fast shutdown: sessions that are still open are ended.
            end(record, grace_seconds=_GRACE_SECONDS, first=signal.SIGINT)


def _initialise(programs: Path, home: Path, password: str) -> None:
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    for path in (home, secret):
        if os.geteuid() == 0:
            shutil.chown(path, _USER, pwd.getpwnam(_USER).pw_gid)
    command = [str(programs / "initdb"), "-D", str(home / "data"), "-U", _USER, f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    try:
        done = subprocess.run(
            _as_user(command), cwd=home, capture_output=True, text=True, timeout=_INITIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"initdb did not end within {_INITIAL_SECONDS} s") from error
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise ProcessError("initdb failed:\n" + "\n".join(done.stderr.splitlines()[-10:]))


def _as_user(command: Sequence[str]) -> list[str]:
    """A command that root runs as the package's user, and that ends with this program."""
    other = [f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *other, "--pdeathsig", "INT", "--", *command]


def _wait(url: str, alive: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            psycopg2.connect(url, connect_timeout=5).close()
        except psycopg2.OperationalError as error:
            if not alive() or time.monotonic() >= until:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                raise ProcessError(f"PostgreSQL does not answer: {error}\n{tail}") from error
            time.sleep(_POLL_SECONDS)
        else:
            return
