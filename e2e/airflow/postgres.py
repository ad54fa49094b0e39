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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from e2e.airflow.processes import ProcessError
from e2e.airflow.settings import HOST, free_port

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
            yield url
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # a fast shutdown: sessions that are still open are ended
    try:
        server.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


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
            command,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=_INITIAL_SECONDS,
            check=False,
            **_other_user(),
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
    return {"user": _USER, "group": pwd.getpwnam(_USER).pw_gid, "extra_groups": []}


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
