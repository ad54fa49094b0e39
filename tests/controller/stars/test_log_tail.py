"""A failed module's last lines in a pod with many containers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from plato_sas.controller.kube.client import ApiError, NotFound
from plato_sas.controller.stars.log_tail import LogTail
from plato_sas.jobs.attempt import Attempt, AttemptState
from plato_sas.jobs.failure import Failure, FailureClass

LOG = b"line\n" * 100 + b"no modes above the noise\n"


class Server:
    def __init__(self, *errors: ApiError, log: bytes = LOG) -> None:
        self.asked: list[dict[str, str]] = []
        self.errors = list(errors)
        self.log = log

    async def stream(self, kind: Any, name: str, subresource: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        self.asked.append({"pod": name, "what": subresource, **query})
        if self.errors:
            raise self.errors.pop(0)
        for line in self.log.splitlines(keepends=True)[-int(query["tailLines"]) :]:
            yield line


def pod(containers: int) -> dict[str, Any]:
    statuses = [{"name": f"step-{index}"} for index in range(containers)]
    return {"metadata": {"name": "p"}, "status": {"phase": "Failed", "initContainerStatuses": statuses}}


def judged(message: str, containers: int, server: Server, times: int = 1) -> Failure:
    failure = Failure(FailureClass.SCIENCE, "ModuleFailed", message, "b", 3)
    failed = Attempt("job", {"a": 1, "b": 1}, AttemptState.FAILED, failure=failure)

    async def ask() -> Attempt:
        client: Any = server
        words = LogTail(client)
        for _ in range(times):
            with suppress(ApiError):  # the star is looked at again
                found = await words.complete(replace(failed), [pod(containers)])
        return found

    found = asyncio.run(ask()).failure
    assert found is not None
    return found


def told(message: str, containers: int, server: Server, times: int = 1) -> str:
    return judged(message, containers, server, times).message


def test_a_message_that_was_cut_is_replaced_by_the_end_of_the_log() -> None:
    server = Server()
    assert told("line\n" * 174, 14, server, times=3).endswith("no modes above the noise")
    assert [(one["pod"], one["what"], one["container"]) for one in server.asked] == [("p", "log", "step-b")], "once"


def test_a_message_that_fitted_is_left_alone() -> None:
    server = Server()
    assert told("x" * 800, 14, server) == "x" * 800
    assert told("x" * 2000, 3, server) == "x" * 2000
    assert server.asked == []


@pytest.mark.parametrize("error", [ApiError(403, "no right"), ApiError(400, "no container"), NotFound(404, "no pod")])
def test_without_the_log_what_there_is_must_do(error: ApiError) -> None:
    assert told("line\n" * 174, 14, Server(error)) == "line\n" * 174


def test_passing_trouble_is_waited_out_and_lasting_trouble_is_not() -> None:
    away = ApiError(503, "etcd is away")
    assert told("line\n" * 174, 14, Server(away, away), times=3).endswith("no modes above the noise")
    silent = Server(*[away] * 9)
    assert told("line\n" * 174, 14, silent, times=9) == "line\n" * 174
    assert len(silent.asked) == 4


def test_the_last_lines_may_say_that_the_volume_was_full() -> None:
    log = LOG + b"OSError: [Errno 28] No space left on device: '/sas/out/IDP_A.h5'\n"
    found = judged("line\n" * 174, 14, Server(log=log))
    assert (found.kind, found.reason) == (FailureClass.INFRASTRUCTURE, "NoSpaceLeft")
