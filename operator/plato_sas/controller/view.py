"""The in-memory view of the namespace, fed by watches, by our own writes and by a periodic list."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from plato_sas.controller import metrics
from plato_sas.controller.resources import JOB, MODULE, PIPELINE, POD, PROCESSING, WATCHED, Kind
from plato_sas.controller.slimming import slim
from plato_sas.jobs.attempt import finished
from plato_sas.jobs.names import JOB_NAME_LABEL, PROCESSING_LABEL, label_value
from plato_sas.jobs.pods import terminal

Document = dict[str, Any]


# Deletions remembered: an answer to our own write that is older than the deletion comes within a minute.
_GRAVES = 4096


class View:
    """Objects by kind and name. Every change returns the stars (names of StarProcessings) that it touches."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[str, Document]] = {kind: {} for kind in WATCHED}
        self._gone: dict[str, None] = {}  # uids, the oldest first
        self._star_by_label: dict[str, str] = {}
        self._jobs_by_star: dict[str, set[str]] = defaultdict(set)
        self._pods_by_job: dict[str, set[str]] = defaultdict(set)
        self._pods_by_star: dict[str, set[str]] = defaultdict(set)
        self._stars_by_tree: dict[tuple[str, str], set[str]] = defaultdict(set)

    def processing(self, name: str) -> Document | None:
        return self._objects[PROCESSING].get(name)

    def pipeline(self, name: str) -> Document | None:
        return self._objects[PIPELINE].get(name)

    def module(self, name: str) -> Document | None:
        return self._objects[MODULE].get(name)

    def job(self, name: str) -> Document | None:
        return self._objects[JOB].get(name)

    def jobs_of(self, star: str) -> list[Document]:
        """The Jobs that carry a star's label."""
        return [self._objects[JOB][name] for name in sorted(self._jobs_by_star.get(label_value(star), ()))]

    def pods_of(self, job: str) -> list[Document]:
        return [self._objects[POD][name] for name in sorted(self._pods_by_job.get(job, ()))]

    def pods_of_star(self, star: str) -> list[Document]:
        """The pods that carry a star's label, whichever Job made them."""
        return [self._objects[POD][name] for name in sorted(self._pods_by_star.get(label_value(star), ()))]

    def rivals(self, star: str) -> list[Document]:
        """The other StarProcessings that write to the same folder of the product tree."""
        mine = self._objects[PROCESSING][star]["spec"]
        names = self._stars_by_tree[mine["campaign"], mine["star"]] - {star}
        return [self._objects[PROCESSING][name] for name in names]

    def stars(self) -> list[str]:
        return list(self._objects[PROCESSING])

    def pipelines(self) -> list[str]:
        return list(self._objects[PIPELINE])

    def revisions(self) -> set[str]:
        """The ControllerRevisions that stars name."""
        found = (star.get("status", {}).get("revision") for star in self._objects[PROCESSING].values())
        return {name for name in found if name is not None}

    def put(self, kind: Kind, item: Document) -> set[str]:
        """An object as the API server has it or had it: what is older than what is known already is ignored."""
        metadata = item["metadata"]
        known = self._objects[kind].get(metadata["name"])
        if metadata["uid"] in self._gone or (known is not None and _version(known) >= _version(item)):
            return set()
        item = slim(kind, item)
        if known is not None:
            self._unindex(kind, known)
        self._objects[kind][metadata["name"]] = item
        self._index(kind, item)
        return self._touched(kind, item)

    def drop(self, kind: Kind, item: Document) -> set[str]:
        """An object is gone, and does not come back: whatever is still said of it is old."""
        name = item["metadata"]["name"]
        self._gone[item["metadata"]["uid"]] = None
        if len(self._gone) > _GRAVES:
            del self._gone[next(iter(self._gone))]
        known = self._objects[kind].get(name)
        if known is None or known["metadata"]["uid"] != item["metadata"]["uid"]:
            return set()
        touched = self._touched(kind, known)
        del self._objects[kind][name]
        self._unindex(kind, known)
        return touched

    def known(self, kind: Kind) -> set[str]:
        """The uids of all objects of a kind."""
        return {item["metadata"]["uid"] for item in self._objects[kind].values()}

    def replace(self, kind: Kind, items: Iterable[Document], before: set[str] | None = None) -> set[str]:
        """A complete list: what is not in it and was `known` before the list began (all if None) is gone."""
        listed = {item["metadata"]["uid"]: item for item in items}
        gone = (self.known(kind) if before is None else before) - listed.keys()
        touched: set[str] = set()
        for item in list(self._objects[kind].values()):
            if item["metadata"]["uid"] in gone:
                touched |= self.drop(kind, item)
        for item in listed.values():
            touched |= self.put(kind, item)
        return touched

    def _touched(self, kind: Kind, item: Document) -> set[str]:
        if kind is PROCESSING:
            rivals = self._stars_by_tree[_tree(item)]
            return {item["metadata"]["name"], *rivals}
        if kind in (JOB, POD):
            star = self._star_by_label.get(item["metadata"].get("labels", {}).get(PROCESSING_LABEL, ""))
            # The end of one star's Job may be what another on the same products waits for.
            return {star, *self._stars_by_tree[_tree(self._objects[PROCESSING][star])]} if star is not None else set()
        # A pipeline or module matters to stars that have not been accepted with it yet.
        return {name for name, star in self._objects[PROCESSING].items() if not star.get("status", {}).get("revision")}

    def _index(self, kind: Kind, item: Document) -> None:
        name = item["metadata"]["name"]
        labels = item["metadata"].get("labels", {})
        if kind is PROCESSING:
            self._star_by_label[label_value(name)] = name
            self._stars_by_tree[_tree(item)].add(name)
            metrics.KNOWN_STARS.set(len(self._objects[kind]))
        elif kind is JOB:
            self._jobs_by_star[labels.get(PROCESSING_LABEL, "")].add(name)
            metrics.JOBS.set(len(self._objects[kind]))
        elif kind is POD:
            self._pods_by_job[labels.get(JOB_NAME_LABEL, "")].add(name)
            self._pods_by_star[labels.get(PROCESSING_LABEL, "")].add(name)

    def _unindex(self, kind: Kind, item: Document) -> None:
        name = item["metadata"]["name"]
        labels = item["metadata"].get("labels", {})
        if kind is PROCESSING:
            self._star_by_label.pop(label_value(name), None)
            _discard(self._stars_by_tree, _tree(item), name)
            metrics.KNOWN_STARS.set(len(self._objects[kind]))
        elif kind is JOB:
            _discard(self._jobs_by_star, labels.get(PROCESSING_LABEL, ""), name)
            metrics.JOBS.set(len(self._objects[kind]))
        elif kind is POD:
            _discard(self._pods_by_job, labels.get(JOB_NAME_LABEL, ""), name)
            _discard(self._pods_by_star, labels.get(PROCESSING_LABEL, ""), name)


def decisive(kind: Kind, item: Document) -> bool:
    """Whether something may follow, so that a star has to be looked at now; progress inside of a Job is only told."""
    if kind is POD:
        return terminal(item)
    return kind is not JOB or finished(item)


def _discard(index: dict[Any, set[str]], key: Any, name: str) -> None:
    index[key].discard(name)
    if not index[key]:
        del index[key]


def _tree(item: Document) -> tuple[str, str]:
    return item["spec"]["campaign"], item["spec"]["star"]


def _version(item: Document) -> int:
    # Since Kubernetes 1.35 resource versions of one resource may be compared as numbers (KEP-5504).
    return int(item["metadata"]["resourceVersion"])
