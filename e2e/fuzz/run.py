"""Run cases: those that need nothing in a process of their own, resources in batches on the cluster."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from random import Random

from e2e.fuzz import conditions, files
from e2e.fuzz.resources import Api, gone_afterwards, judge_answer, resource, verdict
from e2e.fuzz.tally import Tally

IN_PROCESS: dict[str, Callable[[Random], str]] = {**files.KINDS, **conditions.KINDS}
RESOURCES = ("StarProcessing", "StarProcessing", "StarPipeline", "ScienceModule", "StarCatalogue")
# The collector reads products in processes of their own: one that HDF5 cannot bear costs its star's row.
MAY_END_THE_PROCESS = frozenset({"product"})
_BATCH = 50
_JUDGED_SECONDS = 60.0
_CASE_SECONDS = 20.0  # no case takes a second; a regular expression may take for ever


def run_case(kind: str, seed: int, case: int) -> str:
    """The outcome of one case that needs no cluster; what it raises is a finding."""
    return IN_PROCESS[kind](Tally(seed).luck(kind, case))


def run_in_process(tally: Tally, kind: str, cases: range) -> None:
    """A library that crashes (HDF5's, CEL's) ends the child alone, and is a finding."""
    pool = ProcessPoolExecutor(1)
    try:
        for case in cases:
            try:
                tally.count(kind, pool.submit(run_case, kind, tally.seed, case).result(_CASE_SECONDS))
            except BrokenProcessPool:
                if kind in MAY_END_THE_PROCESS:
                    tally.count(kind, "ended the process")
                else:
                    tally.wrong(kind, case, "the process has crashed")
                pool = ProcessPoolExecutor(1)
            except TimeoutError:
                tally.wrong(kind, case, f"not ended after {_CASE_SECONDS:.0f} s")
                for process in list(pool._processes.values()):
                    process.kill()
                pool = ProcessPoolExecutor(1)
            except Exception as error:
                tally.wrong(kind, case, f"{type(error).__name__}: {error}")
    finally:
        pool.shutdown(cancel_futures=True)


def run_resources(tally: Tally, api: Api, cases: range, progress: Callable[[int], None] | None = None) -> None:
    """Create, wait for the operator's verdict, delete; in batches of one kind."""
    for number, start in enumerate(range(cases.start, cases.stop, _BATCH)):
        _batch(tally, api, RESOURCES[number % len(RESOURCES)], range(start, min(start + _BATCH, cases.stop)))
        if progress is not None:
            progress(start)


def _batch(tally: Tally, api: Api, kind: str, cases: range) -> None:
    stored: dict[str, int] = {}
    for case in cases:
        name = f"fuzz-{case}"
        document = resource(kind, name, tally.luck(kind, case))
        if judge_answer(tally, kind, case, document, *api.create(kind, document)):
            stored[name] = case
    with gone_afterwards(api, kind, list(stored)):
        if kind in ("StarPipeline", "ScienceModule"):
            for _ in stored:
                tally.count(kind, "stored")
            return
        _judged(tally, api, kind, dict(stored))


def _judged(tally: Tally, api: Api, kind: str, waiting: dict[str, int]) -> None:
    deadline = time.monotonic() + _JUDGED_SECONDS
    while waiting:
        for one in api.items(kind):
            name = one["metadata"]["name"]
            found = verdict(one) if name in waiting else None
            if found is None:
                continue
            case = waiting.pop(name)
            if found in ("accepted", "rejected"):
                tally.count(kind, found)
            else:
                tally.wrong(kind, case, f"{found}: {one['spec']}")
        if time.monotonic() > deadline:
            for case in waiting.values():
                tally.wrong(kind, case, f"no verdict after {_JUDGED_SECONDS:.0f} s")
            return
        time.sleep(0.2)
