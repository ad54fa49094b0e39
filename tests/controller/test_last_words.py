"""A failed module's last lines in a pod with many containers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from plato_sas.controller.client import ApiError
from plato_sas.controller.last_words import LastWords
from plato_sas.jobs.attempt import Attempt, AttemptState
from plato_sas.jobs.failure import Failure, FailureClass

LOG = b"line\n" * 100 + b"no modes above the noise\n"


class Server:
    def __init__(self, refused: bool = False) -> None:
        self.asked: list[dict[str, str]] = []
        self.refused = refused

    async def stream(self, kind: Any, name: str, subresource: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        self.asked.append({"pod": name, "what": subresource, **query})
        if self.refused:
            raise ApiError(403, "no right to read logs")
        for line in LOG.splitlines(keepends=True)[-int(query["tailLines"]) :]:
            yield line


def pod(containers: int) -> dict[str, Any]:
    statuses = [{"name": f"step-{index}"} for index in range(containers)]
    return {"metadata": {"name": "p"}, "status": {"phase": "Failed", "initContainerStatuses": statuses}}


def told(message: str, containers: int, server: Server, times: int = 1) -> str:
    failure = Failure(FailureClass.SCIENCE, "ModuleFailed", message, "b", 3)
    failed = Attempt("job", {"a": 1, "b": 1}, AttemptState.FAILED, failure=failure)

    async def ask() -> Attempt:
        client: Any = server
        words = LastWords(client)
        for _ in range(times):
            found = await words.complete(replace(failed), [pod(containers)])
        return found

    found = asyncio.run(ask()).failure
    assert found is not None
    return found.message


def test_a_message_that_was_cut_is_replaced_by_the_end_of_the_log() -> None:
    server = Server()
    assert told("line\n" * 174, 14, server, times=3).endswith("no modes above the noise")
    assert [(one["pod"], one["what"], one["container"]) for one in server.asked] == [("p", "log", "step-b")], "once"


def test_a_message_that_fitted_is_left_alone() -> None:
    server = Server()
    assert told("x" * 800, 14, server) == "x" * 800
    assert told("x" * 2000, 3, server) == "x" * 2000
    assert server.asked == []


def test_without_the_log_what_there_is_must_do() -> None:
    assert told("line\n" * 174, 14, Server(refused=True)) == "line\n" * 174
