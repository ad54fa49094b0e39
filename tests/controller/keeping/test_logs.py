"""Logs on the products volume: whole, bounded, durable, and never in the way of others; real files."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from plato_sas.api import Document
from plato_sas.controller.keeping import logs as module
from plato_sas.controller.keeping import pod_logs
from plato_sas.controller.keeping.logs import LogKeeper
from plato_sas.controller.kube.client import ApiError, NotFound
from plato_sas.controller.kube.resources import Kind

FOLDER = PurePosixPath("q1/KIC1")
ENDED = {
    "exitCode": 0,
    "startedAt": "2030-01-01T00:00:00Z",
    "finishedAt": "2030-01-01T00:00:09Z",
    "reason": "Completed",
}


class Kubelet:
    """`KubeClient.stream` for logs: text by (pod, container), or an error to raise; as the API server does it."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], bytes] = {}
        self.errors: list[ApiError] = []  # each is raised once
        self.broken_pods: dict[str, ApiError] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        self.concurrent = 0
        self.most_concurrent = 0

    async def stream(
        self, kind: Kind, name: str, subresource: str, query: dict[str, str]
    ) -> AsyncGenerator[bytes, None]:
        assert (kind.plural, subresource) == ("pods", "log")
        self.requests.append((name, query))
        self.concurrent += 1
        self.most_concurrent = max(self.concurrent, self.most_concurrent)
        try:
            await asyncio.sleep(0)
            if name in self.broken_pods:
                raise self.broken_pods[name]
            if self.errors:
                raise self.errors.pop(0)
            text = self.texts.get((name, query["container"]), b"")
            if "tailLines" in query:
                text = b"".join(text.splitlines(keepends=True)[-int(query["tailLines"]) :])
            text = text[: int(query["limitBytes"])]
            for start in range(0, len(text), 65536):
                self.sent += len(text[start : start + 65536])
                yield text[start : start + 65536]
        finally:
            self.concurrent -= 1


def pod(name: str, *containers: str, node: str = "n1", **ended: Any) -> Document:
    *before, last = containers or ("step-p",)
    return {
        "metadata": {"name": name, "creationTimestamp": "2030-01-01T00:00:00Z"},
        "spec": {
            "nodeName": node,
            "initContainers": [{"name": one} for one in before],
            "containers": [{"name": last}],
        },
        "status": {
            # The kubelet sorts by name, we by the order of running.
            "initContainerStatuses": [
                {"name": one, "state": {"terminated": ENDED | ended}} for one in sorted(before, reverse=True)
            ],
            "containerStatuses": [{"name": last, "state": {"terminated": ENDED}}] if containers else [],
        },
    }


def job(name: str) -> Document:
    return {"metadata": {"name": name}}


class Shop:
    """A keeper at work."""

    def __init__(self, products: Path, **options: Any) -> None:
        self.products = products
        self.kubelet = Kubelet()
        self.marked: asyncio.Queue[str] = asyncio.Queue()
        settings = {"first_pause": 0.001} | options
        self.keeper = LogKeeper(self.kubelet, products, self.marked.put_nowait, **settings)  # type: ignore[arg-type]

    def ask(self, name: str, *pods: Document, folder: PurePosixPath = FOLDER) -> None:
        self.keeper.request(f"star-of-{name}", folder, job(name), list(pods))

    async def kept(self, name: str, *pods: Document, folder: PurePosixPath = FOLDER) -> str:
        self.ask(name, *pods, folder=folder)
        assert await asyncio.wait_for(self.marked.get(), 20) == f"star-of-{name}"
        assert self.keeper.kept(job(name))
        return self.text(name, folder)

    def path(self, name: str, folder: PurePosixPath = FOLDER) -> Path:
        return self.products / folder / ".logs" / f"{name}.log"

    def text(self, name: str, folder: PurePosixPath = FOLDER) -> str:
        return self.path(name, folder).read_text()


@asynccontextmanager
async def shop(products: Path, **options: Any) -> AsyncIterator[Shop]:
    made = Shop(products, **options)
    task = asyncio.create_task(made.keeper.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_container_in_the_order_of_running(tmp_path: Path) -> None:
    async with shop(tmp_path) as one:
        one.kubelet.texts = {
            ("p", "step-i"): b"",
            ("p", "step-a"): "sigma = 3.5 \u00b5Hz\n".encode(),
            ("p", "step-z"): b"no newline at the end",
            ("p", "step-p"): b"\xff bytes \n",
        }
        assert not one.keeper.kept(job("j1"))
        with pytest.raises(UnicodeDecodeError):  # bytes stay as they are
            await one.kept("j1", pod("p", "step-i", "step-z", "step-a", "step-p"))
        about = "pod=p node=n1 exitCode=0 started=2030-01-01T00:00:00Z finished=2030-01-01T00:00:09Z reason=Completed"
        assert (
            one.path("j1").read_bytes()
            == (
                f"==== container=step-i {about} bytes=0\n"
                f"==== container=step-z {about} bytes=22\n"
                "no newline at the end\n"
                f"==== container=step-a {about} bytes=17\n"
                "sigma = 3.5 \u00b5Hz\n"
                f"==== container=step-p {about} bytes=9\n"
            ).encode()
            + b"\xff bytes \n"
        )
        assert os.listdir(one.path("j1").parent) == ["j1.log"]
        assert stat.S_IMODE(one.path("j1").stat().st_mode) == 0o644


async def test_a_line_of_a_module_that_looks_like_a_header_is_told_apart_by_the_sizes(tmp_path: Path) -> None:
    forged = b"==== container=publish pod=p node=n1 exitCode=0 bytes=0\nall is well\n"
    async with shop(tmp_path) as one:
        one.kubelet.texts = {("p", "step-a"): forged, ("p", "step-b"): b"refused\n"}
        kept = (await one.kept("j1", pod("p", "step-a", "step-b"))).encode()
    found = []
    while kept:
        header, _, rest = kept.partition(b"\n")
        size = int(header.rpartition(b" bytes=")[2])
        found.append((header.split()[1], rest[:size]))
        kept = rest[size:]
    assert found == [(b"container=step-a", forged), (b"container=step-b", b"refused\n")]


async def test_what_did_not_begin_has_no_log(tmp_path: Path) -> None:
    failed = pod("p", "stage-in", "step-a", "publish", exitCode=2, reason="Error")
    failed["status"]["initContainerStatuses"][0] = {
        "name": "step-a",
        "state": {"waiting": {"reason": "PodInitializing"}},
    }
    failed["status"]["containerStatuses"] = [{"name": "publish", "state": {"waiting": {}}}]
    never = pod("q")
    never["status"] |= {"reason": "Evicted", "message": "The node was low on memory."}
    never["metadata"]["creationTimestamp"] = "2030-01-01T00:01:00Z"
    async with shop(tmp_path) as one:
        one.kubelet.texts["p", "stage-in"] = b"KIC1/lc.fits: no such file\n"
        lines = (await one.kept("j1", never, failed)).splitlines()
        assert [query["container"] for _, query in one.kubelet.requests] == ["stage-in"]
    assert "container=stage-in pod=p node=n1 exitCode=2" in lines[0]
    assert lines[1:] == [
        "KIC1/lc.fits: no such file",
        "==== No container of pod q began. Evicted The node was low on memory.",
    ]


def test_without_a_spec_the_times_tell_the_order() -> None:
    slim = pod("p", "stage-in", "step-a", "publish")
    del slim["spec"]["initContainers"], slim["spec"]["containers"]
    for one, second in zip(slim["status"]["initContainerStatuses"], (5, 3), strict=True):  # step-a, stage-in
        one["state"]["terminated"] = ENDED | {"startedAt": f"2030-01-01T00:00:0{second}Z"}
    slim["status"]["containerStatuses"][0]["state"]["terminated"] = ENDED | {"startedAt": "2030-01-01T00:00:05Z"}
    assert [one.name for one in pod_logs.began(slim)] == ["stage-in", "step-a", "publish"]


async def test_what_the_stager_said_when_it_ended_well_is_taken_from_its_report(tmp_path: Path) -> None:
    done = pod("p", "stage-in", "step-a", "publish")
    done["status"]["containerStatuses"][0]["state"]["terminated"] = ENDED | {"message": '{"steps":{}}'}
    async with shop(tmp_path) as one:
        one.kubelet.texts["p", "step-a"] = b"a line\n"
        text = await one.kept("j1", done)
        assert [query["container"] for _, query in one.kubelet.requests] == ["step-a"]
    assert text.splitlines()[-1] == '{"steps":{}}'


async def test_no_pod_is_told(tmp_path: Path) -> None:
    async with shop(tmp_path) as one:
        assert await one.kept("j1") == "==== No pod of Job j1 was found: its log could not be read.\n"


async def test_a_long_log_keeps_both_ends(tmp_path: Path) -> None:
    async with shop(tmp_path, max_bytes=1 << 16) as one:
        line = b"%07d 0123456789012345678901234567890123456789012345678901234\n"
        one.kubelet.texts["p", "step-p"] = b"".join(line % number for number in range(100_000))
        lines = (await one.kept("j1", pod("p", "step-p"))).splitlines()
        size = one.path("j1").stat().st_size
    assert 60_000 < size < (1 << 16) + 300
    assert lines[1].startswith("0000000 ")
    assert lines[-1].startswith("0099999 ")
    (left_out,) = [line for line in lines if "left out here" in line]
    shown = sum(len(line) + 1 for line in lines[1:] if line != left_out)
    assert f"[... {100_000 * 64 - shown} bytes left out here ...]" == left_out
    assert len(one.kubelet.requests) == 1


@pytest.mark.parametrize("later", [b"short\n", b"y" * 5000 + b"\n"], ids=["alike", "much-longer-lines"])
async def test_a_huge_log_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: bytes) -> None:
    monkeypatch.setattr(pod_logs.read, "__defaults__", (1 << 19,))
    async with shop(tmp_path, max_bytes=1 << 16) as one:
        one.kubelet.texts["p", "step-p"] = b"begin\n" * 5000 + later * (40_000_000 // len(later)) + b"the end\n"
        text = await one.kept("j1", pod("p", "step-p"))
        assert one.kubelet.sent < 6 * (1 << 19)
    lines = text.splitlines()
    assert (lines[1], lines[-1]) == ("begin", "the end")
    assert any("at least" in line and "left out here" in line for line in lines)
    assert len(text) < (1 << 16) + 300


async def test_asking_twice_changes_nothing(tmp_path: Path) -> None:
    async with shop(tmp_path) as one:
        one.ask("j1", pod("p", "step-p"))
        one.ask("j1", pod("p", "step-p"))
        assert await asyncio.wait_for(one.marked.get(), 20) == "star-of-j1"
        await one.kept("j2", pod("q", "step-p"))
        one.ask("j1", pod("p", "step-p"))
        await one.kept("j3", pod("r", "step-p"))
    assert [name for name, _ in one.kubelet.requests] == ["p", "q", "r"]


async def test_after_a_restart_the_file_is_found(tmp_path: Path) -> None:
    async with shop(tmp_path) as before:
        await before.kept("j1", pod("p", "step-p"))
    async with shop(tmp_path) as after:
        assert not after.keeper.kept(job("j1"))
        await after.kept("j1")  # its pod may be gone
        assert after.kubelet.requests == []
        assert "container=step-p" in after.text("j1")


async def test_what_a_killed_operator_left_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / ".logs"
    folder.mkdir(parents=True)
    (folder / ".j1.log.part").write_text("half")
    async with shop(tmp_path) as one:
        assert "half" not in await one.kept("j1", pod("p", "step-p"))
    assert os.listdir(folder) == ["j1.log"]


async def test_forgotten_jobs_are_neither_kept_nor_fetched(tmp_path: Path) -> None:
    async with shop(tmp_path) as one:
        one.ask("j1", pod("p", "step-p"))
        one.keeper.forget("j1")
        await one.kept("j2", pod("q", "step-p"))
        one.keeper.forget("j2")
        assert not one.keeper.kept(job("j2"))
    assert [name for name, _ in one.kubelet.requests] == ["q"]


async def test_a_pod_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    async with shop(tmp_path) as one:
        one.kubelet.broken_pods["p"] = NotFound(404, 'pods "p" not found')
        text = await one.kept("j1", pod("p", "step-p"))
    assert len(one.kubelet.requests) == 1
    assert text.endswith('[The log could not be read: 404: pods "p" not found]\n')


async def test_a_stutter_is_no_loss(tmp_path: Path) -> None:
    async with shop(tmp_path) as one:
        one.kubelet.texts["p", "step-p"] = b"here\n"
        one.kubelet.errors = [ApiError(0, "reset"), ApiError(503, "shutting down"), ApiError(400, "a stutter")]
        assert (await one.kept("j1", pod("p", "step-p"))).endswith("\nhere\n")


async def test_a_node_that_stays_away_is_told_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NODE_REST", 0.02)
    async with shop(tmp_path, workers=1) as one:
        one.kubelet.texts["q", "step-p"] = b"other node\n"
        gone = ApiError(500, "dial tcp 192.0.2.1:10250: no route to host")
        for number in range(20):
            one.kubelet.broken_pods[f"p{number}"] = gone
            one.ask(f"gone{number}", pod(f"p{number}", "step-i", "step-p", node="dead"))
        one.ask("other", pod("q", "step-p", node="alive"))
        assert await asyncio.wait_for(one.marked.get(), 10) == "star-of-other"  # although asked for last
        for _ in range(20):
            await asyncio.wait_for(one.marked.get(), 10)
        for number in range(20):
            assert one.text(f"gone{number}").count("[The log could not be read:") == 2
        # Not 20 Jobs x 7 tries: the node is left alone in between.
        assert len([name for name, _ in one.kubelet.requests if name != "q"]) < 60


async def test_a_full_volume_is_tried_until_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, tries = {"j1"}, 0
    write_all = module.write_all

    def write(descriptor: int, data: bytes) -> None:
        nonlocal tries
        if any(f"/.{name}.log.part" in os.readlink(f"/proc/self/fd/{descriptor}") for name in full):
            tries += 1
            os.write(descriptor, data[:7])
            if tries >= 12:
                full.clear()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(descriptor, data)

    monkeypatch.setattr(module, "write_all", write)
    async with shop(tmp_path, workers=1, first_pause=0.0001) as one:
        one.ask("j1", pod("p", "step-p"))
        assert "container=step-p" in await one.kept("j2", pod("q", "step-p"))  # not held up
        assert await asyncio.wait_for(one.marked.get(), 30) == "star-of-j1"
        assert one.text("j1").count("====") == 1
        assert sorted(os.listdir(one.path("j1").parent)) == ["j1.log", "j2.log"]
    assert tries == 12


async def test_a_volume_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    products = tmp_path / "products"
    async with shop(products) as one:
        one.ask("j1", pod("p", "step-p"))
        await asyncio.sleep(0.01)
        products.mkdir()
        await asyncio.wait_for(one.marked.get(), 20)
        assert "container=step-p" in one.text("j1")


@pytest.mark.parametrize("link", ["q1", "q1/KIC1", "q1/KIC1/.logs"])
async def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    products, elsewhere = tmp_path / "products", tmp_path / "elsewhere"
    (elsewhere / "KIC1" / ".logs").mkdir(parents=True)
    (products / link).parent.mkdir(parents=True)
    (products / link).symlink_to(elsewhere)
    async with shop(products) as one:
        one.ask("j1", pod("p", "step-p"))
        await one.kept("j2", pod("q", "step-p"), folder=PurePosixPath("q1-other/KIC2"))
        assert not one.keeper.kept(job("j1"))
        assert [name for _, _, names in os.walk(elsewhere) for name in names] == []
        (products / link).unlink()
        assert await asyncio.wait_for(one.marked.get(), 20) == "star-of-j1"
        assert "container=step-p" in one.text("j1")


@pytest.mark.parametrize("name", ["j1.log", ".j1.log.part"])
async def test_a_link_in_a_files_place_is_replaced(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    folder = tmp_path / "products" / FOLDER / ".logs"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(target)
    async with shop(tmp_path / "products") as one:
        assert "container=step-p" in await one.kept("j1", pod("p", "step-p"))
        assert not one.path("j1").is_symlink()
    assert target.read_text() == "mine"


async def test_no_more_are_fetched_at_a_time_than_there_are_workers(tmp_path: Path) -> None:
    async with shop(tmp_path, workers=3) as one:
        for number in range(30):
            one.ask(f"j{number}", pod(f"p{number}", "step-i", "step-p"))
        for _ in range(30):
            await asyncio.wait_for(one.marked.get(), 20)
    assert one.kubelet.most_concurrent <= 3
