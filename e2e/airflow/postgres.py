"""PostgreSQL for one Airflow: a server from Debian's package on the loopback address, removed without a trace.

PostgreSQL refuses to run as root. Its files are outside the checkout, which its user may not be able to enter.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from e2e.processes.daemon import ProcessError
from e2e.processes.ports import HOST, free_port
from e2e.setup.prerequisites import postgres_programs

_PREFIX = "plato-sas-postgres-"
_USER = "postgres"  # of the machine, made by Debian's package; the server's own administrator has the name, too
_READY_SECONDS = 60
_INITIAL_SECONDS = 120
_GRACE_SECONDS = 20.0
_POLL_SECONDS = 0.1
_CONNECTIONS = 200  # each of Airflow's components holds about ten


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL. `url`: libpq's address of an empty database, with the password."""

    url: str = field(repr=False)
    pid: int


@contextmanager
def postgres(log: Path) -> Iterator[Server]:
    """A server for the length of the `with` block. Raises ProcessError."""
    programs = postgres_programs()
    if not programs:
        raise ProcessError("no PostgreSQL on this machine: apt-get install postgresql")
    folder = max(programs, key=lambda folder: float(folder.parent.name))
    _sweep()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as temporary:
        home = Path(temporary)
        password = secrets.token_urlsafe(18)
        _initialise(folder, home, password)
        port = free_port(5432)
        url = f"postgresql://{_USER}:{password}@{HOST}:{port}/postgres"
        command = ["-D", str(home / "data"), "-p", str(port), "-c", f"listen_addresses={HOST}"]
        command += ["-c", "unix_socket_directories=", "-c", f"max_connections={_CONNECTIONS}"]
        with log.open("wb") as output:
            server = subprocess.Popen(
                # It ends with this program, however that ends.
                ["setpriv", "--pdeathsig", "INT", str(folder / "postgres"), *command],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_other_user(),
            )
        try:
            _wait(url, server, log)
            yield Server(url, server.pid)
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # a fast shutdown: sessions that are still open are ended
    try:
        server.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _sweep() -> None:
    """Remove the files that a killed program left; its server ended with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            # The first line is the server's process id.
            pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            pid = None
        if pid is None or not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _initialise(programs: Path, home: Path, password: str) -> None:
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    other = _other_user()
    for path in (home, secret):
        if other:
            shutil.chown(path, other["user"], other["group"])
    command = [str(programs / "initdb"), "-D", str(home / "data"), "-U", _USER, f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    try:
        done = subprocess.run(
            command,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=_INITIAL_SECONDS,
            check=False,
            **other,
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"initdb did not end within {_INITIAL_SECONDS} s") from error
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise ProcessError("initdb failed:\n" + "\n".join(done.stderr.splitlines()[-10:]))


def _other_user() -> dict[str, Any]:
    """For subprocess: root's PostgreSQL runs as the user of Debian's package."""
    if os.geteuid() != 0:
        return {}
    try:
        return {"user": _USER, "group": pwd.getpwnam(_USER).pw_gid, "extra_groups": []}
    except KeyError:
        raise ProcessError(f"root cannot run PostgreSQL, and this machine has no user {_USER} to run it as") from None


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            psycopg2.connect(url, connect_timeout=5).close()
        except psycopg2.OperationalError as error:
            if server.poll() is not None or time.monotonic() >= until:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                raise ProcessError(f"PostgreSQL does not answer: {error}\n{tail}") from error
            time.sleep(_POLL_SECONDS)
        else:
            return
