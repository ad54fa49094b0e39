"""The baseline's trigger on real files: what a star waits for, and that a look can be repeated."""

import os
from pathlib import Path

import h5py
import pytest

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.mission.arrivals.readiness import Readiness, look
from plato_sas_airflow.mission.arrivals.store import FLAG, Store, read_started, write_started
from plato_sas_airflow.settings import Settings

NOW = 1_700_000_000.0
SETTINGS = Settings()


def put(root: Path, star: str, name: str, content: bytes = b"x", age: float = 3600.0) -> Path:
    path = root / star / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW - age, NOW - age))
    return path


def put_flag(root: Path, star: str, value: bool, group: str = f"EXTERNALS/{FLAG}") -> None:
    path = put(root, star, f"{FLAG}.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset(f"{group}/flag", data=value)
    os.utime(path, (NOW - 3600, NOW - 3600))


def put_star(root: Path, star: str, transits: bool, kit: bool = False) -> None:
    put(root, star, "DP1_LC_MERGED.h5")
    put_flag(root, star, transits)
    if kit:
        put(root, star, "IDP_EAS_TRANSIT_REMOVAL_KIT.h5")


def readiness(root: Path, star: str) -> tuple[Readiness, str]:
    return Store(str(root), 60.0, lambda: NOW).inputs(SETTINGS, "Q5").readiness(star)


def test_a_star_waits_for_its_light_curve_its_flag_and_its_kit(tmp_path: Path) -> None:
    assert readiness(tmp_path, "s")[0] is Readiness.NO_LIGHT_CURVE
    put(tmp_path, "s", "DP1_LC_MERGED.h5")
    assert readiness(tmp_path, "s")[0] is Readiness.NO_FLAG
    put_flag(tmp_path, "s", True)
    assert readiness(tmp_path, "s")[0] is Readiness.NO_KIT
    put(tmp_path, "s", "IDP_EAS_TRANSIT_REMOVAL_KIT.h5")
    assert readiness(tmp_path, "s")[0] is Readiness.READY


def test_without_transits_there_is_no_kit_to_wait_for(tmp_path: Path) -> None:
    put_star(tmp_path, "s", transits=False)
    assert readiness(tmp_path, "s")[0] is Readiness.READY


def test_the_flag_may_be_in_a_group_of_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, "s", "DP1_LC_MERGED.h5")
    put_flag(tmp_path, "s", True, group=FLAG)
    assert readiness(tmp_path, "s")[0] is Readiness.NO_KIT


@pytest.mark.parametrize("name", ["DP1_LC_MERGED.h5", "IDP_EAS_TRANSIT_REMOVAL_KIT.h5"])
def test_a_file_that_is_being_written_is_not_there_yet(tmp_path: Path, name: str) -> None:
    put_star(tmp_path, "s", transits=True, kit=True)
    put(tmp_path, "s", name, age=59.0)
    assert readiness(tmp_path, "s")[0] is not Readiness.READY
    put(tmp_path, "s", name, age=61.0)
    assert readiness(tmp_path, "s")[0] is Readiness.READY


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"no HDF5", "not readable as HDF5"),
        (b"", "not readable as HDF5"),
        (b"x" * (2 << 20), "larger than"),
    ],
)
def test_a_flag_that_cannot_be_read_is_named_and_the_star_waits(tmp_path: Path, content: bytes, problem: str) -> None:
    put_star(tmp_path, "s", transits=False)
    put(tmp_path, "s", f"{FLAG}.h5", content)
    state, told = readiness(tmp_path, "s")
    assert state is Readiness.UNREADABLE
    assert told.startswith(f"s/{FLAG}.h5: {problem}")


def test_a_file_without_the_flag_is_named(tmp_path: Path) -> None:
    put_star(tmp_path, "s", transits=False)
    path = tmp_path / "s" / f"{FLAG}.h5"
    with h5py.File(path, "w") as file:
        file.create_group(f"EXTERNALS/{FLAG}")
    os.utime(path, (NOW - 3600, NOW - 3600))
    assert readiness(tmp_path, "s") == (Readiness.UNREADABLE, f"s/{FLAG}.h5: no dataset EXTERNALS/{FLAG}/flag")


def test_a_look_takes_so_many_of_the_first_and_counts_the_others(tmp_path: Path) -> None:
    for star in ("a", "b", "c", "d"):
        put_star(tmp_path, star, transits=False)
    put_star(tmp_path, "waits", transits=True)
    inputs = Store(str(tmp_path), 60.0, lambda: NOW).inputs(SETTINGS, "Q5")
    whole = look(inputs, ["waits", "a", "absent", "b", "c", "d"], 100, every=2)
    assert whole.ready == ["a", "b", "c", "d"]
    assert whole.text() == "4 ready, 1 waits for its light curve, 1 waits for its transit removal kit"
    assert look(inputs, ["waits", "a", "absent", "b", "c", "d"], 2, every=2).ready == ["a", "b"]
    assert look(inputs, [], 2).text() == "no star to look at"


def test_paths_may_have_the_campaign(tmp_path: Path) -> None:
    settings = Settings(light_curve_path="{campaign}/{star}/lc.h5")
    put(tmp_path / "Q5", "s", "lc.h5")
    assert Store(str(tmp_path), 60.0, lambda: NOW).inputs(settings, "Q5").readiness("s")[0] is Readiness.NO_FLAG
    assert Store(str(tmp_path), 60.0, lambda: NOW).inputs(settings, "Q6").readiness("s")[0] is Readiness.NO_LIGHT_CURVE


def test_a_root_that_cannot_be_seen_is_an_error_and_no_empty_look(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"inputs_url: .*absent: there is no such folder"):
        Store(str(tmp_path / "absent"), 60.0).require()
    Store(str(tmp_path), 60.0).require()


def test_what_has_ended_is_remembered_once(tmp_path: Path) -> None:
    folder = f"{tmp_path}/arrivals/Q5"
    assert read_started(folder) == set()
    write_started(folder, "run-1", ["a", "b"])
    write_started(folder, "run-2", ["c"])
    write_started(folder, "run-2", ["c", "d"])
    assert read_started(folder) == {"a", "b", "c", "d"}
