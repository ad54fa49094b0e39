"""Records that are reported as written are on the disk, each once; real files."""

import asyncio
import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from plato_sas.controller.keeping import archive as module
from plato_sas.controller.keeping.archive import Archive, ArchiveError, main, read

Document = dict[str, Any]


def one(uid: str, star: str = "KIC1", state: str = "Succeeded", **status: Any) -> Document:
    return {
        "uid": uid,
        "name": f"{star.lower()}-q1",
        "archivedAt": "2030-01-02T00:00:00Z",
        "spec": {"star": star, "campaign": "q1", "pipeline": "sas-demo"},
        "status": {"state": state, **status},
    }


def path(products: Path, campaign: str = "q1") -> Path:
    return products / ".archive" / f"{campaign}.jsonl"


async def test_a_record_is_a_line_and_comes_back(tmp_path: Path) -> None:
    written = one("u1", startedAt="2030-01-01T00:00:00Z")
    await Archive(tmp_path).append("q1", written)
    assert path(tmp_path).read_bytes().count(b"\n") == 1
    assert list(read(path(tmp_path))) == [written]
    assert stat.S_IMODE(path(tmp_path).stat().st_mode) == 0o644


async def test_those_that_wait_together_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: (synced.append(os.readlink(f"/proc/self/fd/{descriptor}")), fsync(descriptor))[1],
    )
    archive = Archive(tmp_path)
    await archive.append("q1", one("first"))
    synced.clear()
    await asyncio.gather(*(archive.append(f"q{number % 2 + 1}", one(f"u{number}")) for number in range(200)))
    assert {record["uid"] for name in ("q1", "q2") for record in read(path(tmp_path, name))} == {
        "first",
        *(f"u{number}" for number in range(200)),
    }
    # One batch of all, a file each; the second file and its folder entry are new.
    assert synced.count(str(path(tmp_path))) == 1
    assert synced.count(str(path(tmp_path, "q2"))) == 1
    assert len(synced) == 3


async def test_a_torn_line_does_not_take_the_next_with_it(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    await archive.append("q1", one("u1"))
    with path(tmp_path).open("ab") as file:
        file.write(b'{"uid":"torn","spec":{"sta')
    await Archive(tmp_path).append("q1", one("u2"))
    assert [record["uid"] for record in read(path(tmp_path))] == ["u1", "u2"]


async def test_the_last_record_of_a_star_counts(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    for uid, state in (("u1", "Failed"), ("u2", "Succeeded"), ("u1", "Succeeded")):
        await archive.append("q1", one(uid, state=state))
    assert [(record["uid"], record["status"]["state"]) for record in read(path(tmp_path))] == [
        ("u2", "Succeeded"),
        ("u1", "Succeeded"),
    ]


async def test_a_full_volume_is_told_and_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path)
    await archive.append("q1", one("u1"))

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(module, "write_all", half)
        outcomes = await asyncio.gather(
            archive.append("q1", one("u2")), archive.append("q2", one("u3")), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [ArchiveError, ArchiveError]
    assert "No space left on device" in str(outcomes[0])
    await archive.append("q1", one("u2"))
    assert [record["uid"] for record in read(path(tmp_path))] == ["u1", "u2"]


async def test_a_volume_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"\.archive/q1\.jsonl: .*No such file or directory"):
        await Archive(tmp_path / "absent").append("q1", one("u1"))


async def test_a_volume_that_hangs_does_not_hold_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, hangs = asyncio.get_running_loop(), asyncio.Event()
    archive = Archive(tmp_path, patience=0.05)
    write = module.write_all

    def hanging(descriptor: int, data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(hangs.wait(), loop).result(30)
        write(descriptor, data)

    monkeypatch.setattr(module, "write_all", hanging)
    with pytest.raises(ArchiveError, match="does not answer"):
        await archive.append("q1", one("u1"))
    hangs.set()
    monkeypatch.setattr(module, "write_all", write)
    patient = Archive(tmp_path)
    await patient.append("q1", one("u1"))
    assert [record["uid"] for record in read(path(tmp_path))] == ["u1"]


@pytest.mark.parametrize("link", [".archive", ".archive/q1.jsonl"])
async def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    products, elsewhere = tmp_path / "products", tmp_path / "elsewhere"
    products.mkdir()
    if link == ".archive":
        elsewhere.mkdir()
    else:
        elsewhere.write_text("mine\n")
        (products / ".archive").mkdir()
    (products / link).symlink_to(elsewhere)
    with pytest.raises(ArchiveError):
        await Archive(products).append("q1", one("u1"))
    assert (list(elsewhere.iterdir()) == []) if elsewhere.is_dir() else (elsewhere.read_text() == "mine\n")


@pytest.mark.parametrize("campaign", ["../q1", "a/b", ".hidden", "..", "q\0"])
async def test_a_campaign_is_a_plain_name(tmp_path: Path, campaign: str) -> None:
    (tmp_path / "products").mkdir()
    with pytest.raises(ArchiveError):
        await Archive(tmp_path / "products").append(campaign, one("u1"))
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


async def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = Archive(tmp_path)
    times = {"startedAt": "2030-01-01T00:00:00Z", "finishedAt": "2030-01-01T01:02:03Z"}
    good = {"name": "msap1", "state": "Succeeded"}
    bad = {"name": "msap3-03", "state": "Failed", "reason": "ScienceFailed", "exitCode": 3}
    await archive.append("q1", one("u1", "KIC1", steps=[good, {"name": "x", "state": "Skipped"}], **times))
    await archive.append("q1", one("u2", "KIC2", "Failed", steps=[good, bad], **times))

    assert main([str(path(tmp_path))]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table == [
        ["STAR", "STATE", "STEPS", "FINISHED", "TOOK", "WHY"],
        ["KIC1", "Succeeded", "2/2", "2030-01-01T01:02:03Z", "1:02:03"],
        ["KIC2", "Failed", "1/2", "2030-01-01T01:02:03Z", "1:02:03", "msap3-03:", "ScienceFailed"],
    ]
    assert main([str(path(tmp_path)), "--failed"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["STAR", "KIC2"]
    assert main([str(path(tmp_path)), "--star", "KIC2"]) == 0
    assert "ScienceFailed (exit code 3)" in capsys.readouterr().out
    assert main([str(path(tmp_path)), "--star", "KIC9"]) == 1
    assert "KIC9" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.jsonl")]) == 1
    assert "absent.jsonl: No such file" in capsys.readouterr().err
