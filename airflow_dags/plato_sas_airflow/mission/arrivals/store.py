"""The inputs volume as Airflow sees it, and the stars that earlier looks have started."""

import io
import time
from collections.abc import Callable, Iterable
from datetime import UTC
from importlib.util import find_spec

from airflow.sdk import ObjectStoragePath

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.mission.arrivals.readiness import FlagUnreadable, Inputs
from plato_sas_airflow.settings import Settings

FLAG = "IDP_EAS_QC_TARGET_TCE_DETECTION"
_GROUPS = (f"EXTERNALS/{FLAG}", FLAG)
_LARGEST = 1 << 20
"""Maximum size in bytes of a file with one flag."""


class Store:
    """Files below the root of the inputs volume.

    :param root: a local path, or a URL of a storage that Airflow knows.
    :param settle_seconds: a file changed more recently is treated as absent.
    :param clock: seconds since the epoch.
    """

    def __init__(self, root: str, settle_seconds: float, clock: Callable[[], float] = time.time) -> None:
        path = ObjectStoragePath(root)
        # With hundreds of thousands of files, creating a path object for each would take most of the time.
        self._storage = path.fs
        self._root = path.path.rstrip("/")
        self._settle_seconds = settle_seconds
        self._clock = clock

    def require(self) -> None:
        """Raises BatchError if there is no root or flags cannot be read, since no star would ever be ready."""
        if find_spec("h5py") is None:
            raise BatchError("transit flags are HDF5 files, and h5py is not installed")
        if not self._storage.isdir(self._root):
            raise BatchError(f"[plato_sas] inputs_url: {self._root}: there is no such folder")

    def exists(self, path: str) -> bool:
        """Whether the file exists and has settled. Raises OSError if the storage fails."""
        try:
            modified = self._storage.modified(f"{self._root}/{path}")
        except FileNotFoundError:
            return False
        changed = modified if modified.tzinfo else modified.replace(tzinfo=UTC)
        age: float = self._clock() - changed.timestamp()
        return age >= self._settle_seconds

    def flag(self, path: str) -> bool:
        """The transit flag in an HDF5 file of the prototype SAS's layout. Raises FlagUnreadable, OSError."""
        import h5py

        if self._storage.size(f"{self._root}/{path}") > _LARGEST:
            raise FlagUnreadable(f"{path}: larger than {_LARGEST} bytes")
        content = self._storage.cat_file(f"{self._root}/{path}")
        try:
            with h5py.File(io.BytesIO(content), "r") as opened:
                for group in _GROUPS:
                    if f"{group}/flag" in opened:
                        return bool(opened[f"{group}/flag"][()])
        except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
            raise FlagUnreadable(f"{path}: not readable as HDF5: {error}") from None
        raise FlagUnreadable(f"{path}: no dataset {_GROUPS[0]}/flag")

    def inputs(self, settings: Settings, campaign: str) -> Inputs:
        """The files that the settings name."""
        return Inputs(
            self.exists,
            self.flag,
            campaign,
            settings.light_curve_path,
            settings.transit_flag_path,
            settings.removal_kit_path,
        )


def read_started(folder: str) -> set[str]:
    """The stars of earlier looks that are finished."""
    path = ObjectStoragePath(folder)
    try:
        files = list(path.iterdir())
    except FileNotFoundError:
        return set()
    return {star for file in files if file.name.endswith(".txt") for star in file.read_text().split()}


def write_started(folder: str, run: str, stars: Iterable[str]) -> None:
    """Record finished stars; `run`: name of the file, which a second try replaces."""
    path = ObjectStoragePath(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / f"{run}.txt").write_text("".join(f"{star}\n" for star in stars), encoding="utf-8")
