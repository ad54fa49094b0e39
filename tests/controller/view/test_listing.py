"""A complete list beside what the watches have told."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import JOB, PROCESSING, Kind
from plato_sas.controller.view.listing import relist
from plato_sas.controller.view.view import View
from tests.support.objects import job, star

Document = dict[str, Any]


class Lister:
    """Gives these pages; calls `before_page` with the number of each first."""

    def __init__(self, *pages: list[Document], before_page: Callable[[int], None] = lambda number: None) -> None:
        self._pages = pages
        self._before_page = before_page

    async def pages(self, kind: Kind) -> AsyncIterator[list[Document]]:
        for number, page in enumerate(self._pages):
            self._before_page(number)
            yield page


def jobs(view: View) -> list[str]:
    return [one["metadata"]["name"] for one in view.jobs_of("a")]


async def test_what_is_gone_is_dropped_and_what_was_missed_is_taken() -> None:
    view = View()
    view.put(PROCESSING, star("a"))
    for name in ("gone", "stays"):
        view.put(JOB, job(name, "a"))
    touched = await relist(Lister([job("stays", "a")], [job("missed", "a")]), view, JOB)
    assert touched == {"a"}
    assert jobs(view) == ["missed", "stays"]


async def test_time_is_not_turned_back() -> None:
    view = View()
    view.put(PROCESSING, star("a", 10))
    assert await relist(Lister([star("a", 9)]), view, PROCESSING) == set()
    assert view.processing("a") == star("a", 10)


async def test_what_came_after_the_list_was_begun_is_no_ghost() -> None:
    view = View()
    view.put(PROCESSING, star("a"))
    view.put(JOB, job("gone", "a"))
    await relist(Lister([], before_page=lambda _: view.put(JOB, job("just-made", "a"))), view, JOB)
    assert jobs(view) == ["just-made"]


async def test_what_was_made_anew_meanwhile_stays() -> None:
    view = View()
    view.put(PROCESSING, star("a", 1, uid="old"))

    def made_anew(_: int) -> None:
        view.drop(PROCESSING, star("a", 2, uid="old"))
        view.put(PROCESSING, star("a", 3, uid="new"))

    await relist(Lister([], before_page=made_anew), view, PROCESSING)
    assert view.processing("a") == star("a", 3, uid="new")


async def test_a_list_that_breaks_off_drops_nothing() -> None:
    view = View()
    view.put(PROCESSING, star("a"))
    for name in ("j1", "j2"):
        view.put(JOB, job(name, "a"))

    def broken(number: int) -> None:
        if number == 1:
            raise ApiError(500, "etcd is away")

    with pytest.raises(ApiError):
        await relist(Lister([job("j1", "a")], [job("j2", "a")], before_page=broken), view, JOB)
    assert jobs(view) == ["j1", "j2"]
