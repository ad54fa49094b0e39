import json
import threading
from pathlib import Path

import pytest

from e2e.cluster import choice
from e2e.cluster.__main__ import main, table
from e2e.cluster.errors import ClusterError
from e2e.cluster.local import LocalCluster
from e2e.cluster.provider import ClusterStatus, ComponentStatus
from e2e.cluster.settings import Settings
from e2e.cluster.waiting import exclusive_change, tail, wait_until


def component(health: str = "") -> ComponentStatus:
    return ComponentStatus("etcd", 42, 3723.0, "127.0.0.1:2379", health)


def test_the_table_shows_what_people_look_for() -> None:
    shown = table(ClusterStatus("local", "https://x:6443", [component()], images=["localhost/plato-sas/it:0.1.0"]))
    assert "etcd       42   1h02m   ok      127.0.0.1:2379" in shown.splitlines()
    assert "node      Ready" in shown
    assert "localhost/plato-sas/it:0.1.0" in shown


@pytest.mark.parametrize(
    "status",
    [
        ClusterStatus("local", "", [component("refused\nand more")]),
        ClusterStatus("local", "", [component()], node="not ready"),
    ],
)
def test_what_is_not_healthy_is_not_up(status: ClusterStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cluster:
        def status(self) -> ClusterStatus:
            return status

    monkeypatch.setattr("e2e.cluster.__main__.connect", lambda _: Cluster())
    assert not status.up
    assert main(["status"]) == 1


def test_without_a_set_up_the_status_is_one_line_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings("192.0.2.1", state=tmp_path / "cluster", runtime=tmp_path / "run")
    monkeypatch.setattr("e2e.cluster.__main__.connect", lambda _: LocalCluster(settings))
    assert not LocalCluster(settings).status().up
    assert main(["status"]) == 0
    assert capsys.readouterr().out == "local: no cluster is set up here: python -m e2e.cluster up\n"


def test_a_cluster_that_stopped_is_still_set_up(tmp_path: Path) -> None:
    settings = Settings("192.0.2.1", state=tmp_path / "cluster", runtime=tmp_path / "run")
    settings.state.mkdir()
    (settings.state / "cluster.json").write_text("{}")
    assert {one.health for one in LocalCluster(settings).status().components} == {"not running"}


def test_an_error_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_: str | None) -> None:
        raise ClusterError("no cluster here")

    monkeypatch.setattr("e2e.cluster.__main__.connect", refuse)
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "error: no cluster here\n"


def test_the_provider_is_remembered_until_down(tmp_path: Path) -> None:
    record = tmp_path / "sub" / "provider"
    assert choice.recorded(record) is None
    choice.remember("kind", record)
    assert choice.recorded(record) == "kind"
    record.write_text("nonsense")
    assert choice.recorded(record) is None
    choice.remember(None, record)
    assert not record.exists()


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(ClusterError, match="'k3s' is none of auto, kind, local"):
        choice.connect("k3s")


def test_waiting_ends_with_the_last_reason() -> None:
    answers = ["one", "two", ""]
    wait_until(lambda: answers.pop(0), what="it", timeout=5)
    assert answers == []
    with pytest.raises(ClusterError, match="it: not within 0 s: still down"):
        wait_until(lambda: "still down", what="it", timeout=0.1)
    with pytest.raises(ClusterError, match="it: it ended"):
        wait_until(lambda: "still down", what="it", timeout=60, give_up=lambda: "it ended")


def test_the_tail_is_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(json.dumps(number) for number in range(10000)))
    shown = tail([log, tmp_path / "absent"])
    assert "9999" in shown
    assert "9980" in shown
    assert "9979" not in shown
    assert "(no such file)" in shown


def test_a_second_command_waits_for_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    order: list[str] = []

    def second() -> None:
        with exclusive_change(lock, timeout=20):
            order.append("second")

    with exclusive_change(lock):
        with pytest.raises(ClusterError, match="another command holds"), exclusive_change(lock, timeout=0.1):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]
