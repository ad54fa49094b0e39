"""Whether stars are ready to start. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

_THREADS = 16


class Readiness(StrEnum):
    """What a star waits for."""

    READY = "ready"
    NO_LIGHT_CURVE = "waits for its light curve"
    NO_FLAG = "waits for its transit flag"
    NO_KIT = "waits for its transit removal kit"
    UNREADABLE = "has a transit flag that cannot be read"


class FlagUnreadable(Exception):
    """A transit flag cannot be read; the message names the file."""


@dataclass(frozen=True)
class Inputs:
    """A star's files. `exists`: whether a file has arrived and is complete. `flag`: raises FlagUnreadable.

    The paths are templates with `{star}` and `{campaign}`.
    """

    exists: Callable[[str], bool]
    flag: Callable[[str], bool]
    campaign: str
    light_curve: str
    transit_flag: str
    removal_kit: str

    def readiness(self, star: str) -> tuple[Readiness, str]:
        """What the star waits for, and why its flag cannot be read, if so."""
        if not self.exists(self._path(self.light_curve, star)):
            return Readiness.NO_LIGHT_CURVE, ""
        flag = self._path(self.transit_flag, star)
        if not self.exists(flag):
            return Readiness.NO_FLAG, ""
        try:
            transits = self.flag(flag)
        except FlagUnreadable as error:
            return Readiness.UNREADABLE, str(error)
        if transits and not self.exists(self._path(self.removal_kit, star)):
            return Readiness.NO_KIT, ""
        return Readiness.READY, ""

    def _path(self, template: str, star: str) -> str:
        return template.replace("{star}", star).replace("{campaign}", self.campaign)


@dataclass
class Look:
    """What one look at many stars has found. `ready`: in the order of the list, at most as many as requested."""

    ready: list[str] = field(default_factory=list)
    counts: Counter[Readiness] = field(default_factory=Counter)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The counts in one line."""
        return ", ".join(f"{self.counts[one]} {one}" for one in Readiness if self.counts[one]) or "no star to look at"


def look(inputs: Inputs, stars: Iterable[str], most: int, every: int = 2000) -> Look:
    """Look at the stars until `most` of them are ready; `every` stars at a time are looked at concurrently."""
    found, unreadable, waiting = Look(), {}, list(stars)
    with ThreadPoolExecutor(max_workers=_THREADS) as threads:
        for start in range(0, len(waiting), every):
            part = waiting[start : start + every]
            for star, (readiness, problem) in zip(part, threads.map(inputs.readiness, part), strict=True):
                if readiness is Readiness.READY and len(found.ready) == most:
                    break
                found.counts[readiness] += 1
                if readiness is Readiness.READY:
                    found.ready.append(star)
                elif readiness is Readiness.UNREADABLE:
                    unreadable[star] = problem
            if len(found.ready) == most:
                break
    found.unreadable = unreadable
    return found
