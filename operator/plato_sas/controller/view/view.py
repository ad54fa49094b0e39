"""The in-memory view of the namespace, fed by watches, the operator's own writes and a periodic list."""

from collections import defaultdict
from typing import Any

from plato_sas.api import Document
from plato_sas.controller import metrics
from plato_sas.controller.kube.resources import JOB, MODULE, PIPELINE, POD, PROCESSING, WATCHED, Kind
from plato_sas.controller.view.packed import PackedFinished, PackedStar, version_of
from plato_sas.controller.view.slimming import slim
from plato_sas.jobs.attempt import job_finished
from plato_sas.jobs.names import JOB_NAME_LABEL, PROCESSING_LABEL, label_value
from plato_sas.jobs.pods import pod_finished

_Kept = Document | PackedFinished


# Deletions remembered: the response to an earlier write may arrive after the deletion, within a minute.
_GRAVES = 4096


class View:
    """Objects by kind and name. Every change returns the stars (names of StarProcessings) that it concerns."""

    def __init__(self) -> None:
        self._stars: dict[str, PackedStar] = {}
        self._objects: dict[Kind, dict[str, _Kept]] = {kind: {} for kind in WATCHED if kind is not PROCESSING}
        self._gone: dict[str, None] = {}  # uids, the oldest first
        self._star_by_label: dict[str, str] = {}
        self._star_by_uid: dict[str, str] = {}
        self._jobs_by_owner: dict[str, set[str]] = defaultdict(set)  # by the star's uid
        self._pods_by_job: dict[str, set[str]] = defaultdict(set)
        self._pods_by_star: dict[str, set[str]] = defaultdict(set)
        self._stars_by_tree: dict[tuple[str, str], tuple[str, ...]] = {}
        self._finished_jobs = 0

    def processing(self, name: str) -> Document | None:
        star = self._stars.get(name)
        return star.document() if star is not None else None

    def pipeline(self, name: str) -> Document | None:
        return self._get(PIPELINE, name)

    def module(self, name: str) -> Document | None:
        return self._get(MODULE, name)

    def job(self, name: str) -> Document | None:
        return self._get(JOB, name)

    def jobs_of(self, star: str) -> list[Document]:
        """The Jobs that a star owns."""
        return [_document(one) for one in self._kept_jobs(star)]

    def pods_of(self, job: str) -> list[Document]:
        return [_document(self._objects[POD][name]) for name in sorted(self._pods_by_job.get(job, ()))]

    def has_jobs(self, star: str) -> bool:
        return self._uid(star) in self._jobs_by_owner

    def has_finished_job(self, star: str) -> bool:
        return any(isinstance(one, PackedFinished) for one in self._kept_jobs(star))

    def has_running_job(self, star: str) -> bool:
        return any(not isinstance(one, PackedFinished) for one in self._kept_jobs(star))

    def running_pods_of_star(self, star: str) -> list[Document]:
        """The unfinished pods with a star's label, of any Job."""
        kept = (self._objects[POD][name] for name in sorted(self._pods_by_star.get(label_value(star), ())))
        return [pod for pod in kept if not isinstance(pod, PackedFinished)]

    def rivals(self, star: str) -> list[Document]:
        """The other StarProcessings that write to the same folder of the product tree."""
        names = self._stars_by_tree[self._stars[star].tree]
        return [self._stars[name].document() for name in names if name != star]

    def unexplained(self) -> dict[str, int]:
        """The versions, by name, of the stars that are underway without saying what they wait for."""
        return {name: star.version for name, star in self._stars.items() if star.unexplained}

    def stars(self) -> list[str]:
        return list(self._stars)

    def pipelines(self) -> list[str]:
        return list(self._objects[PIPELINE])

    def revisions(self) -> set[str]:
        """The ControllerRevisions that stars name."""
        return {star.revision for star in self._stars.values() if star.revision is not None}

    def put(self, kind: Kind, item: Document) -> set[str]:
        """Store an object from the API server, unless a newer version is known."""
        metadata = item["metadata"]
        known = self._known(kind, metadata["name"])
        if metadata["uid"] in self._gone or (known is not None and known[1] >= version_of(item)):
            return set()
        if known is not None:
            self._remove(kind, metadata["name"])
        self._store(kind, metadata["name"], slim(kind, item))
        return self._touched(kind, item)

    def drop(self, kind: Kind, item: Document) -> set[str]:
        """Remove an object for good: anything that still arrives about it is outdated."""
        return self.forget(kind, item["metadata"]["name"], item["metadata"]["uid"])

    def forget(self, kind: Kind, name: str, uid: str) -> set[str]:
        """As `drop`, for an object of which only name and uid are known."""
        self._gone[uid] = None
        if len(self._gone) > _GRAVES:
            del self._gone[next(iter(self._gone))]
        known = self._known(kind, name)
        if known is None or known[0] != uid:
            return set()
        if kind is PROCESSING:
            touched = {name, *self._rivals_of(name)}
        else:
            touched = self._touched(kind, _document(self._objects[kind][name]))
        self._remove(kind, name)
        return touched

    def names_by_uid(self, kind: Kind) -> dict[str, str]:
        """The names of all objects of a kind, by uid."""
        if kind is PROCESSING:
            return {star.uid: name for name, star in self._stars.items()}
        return {_identity(kept)[0]: name for name, kept in self._objects[kind].items()}

    def _kept_jobs(self, star: str) -> list[_Kept]:
        return [self._objects[JOB][name] for name in sorted(self._jobs_by_owner.get(self._uid(star), ()))]

    def _uid(self, star: str) -> str:
        known = self._stars.get(star)
        return known.uid if known is not None else ""

    def _get(self, kind: Kind, name: str) -> Document | None:
        kept = self._objects[kind].get(name)
        return _document(kept) if kept is not None else None

    def _known(self, kind: Kind, name: str) -> tuple[str, int] | None:
        """The uid and version of the known object of this name."""
        if kind is PROCESSING:
            star = self._stars.get(name)
            return (star.uid, star.version) if star is not None else None
        kept = self._objects[kind].get(name)
        return _identity(kept) if kept is not None else None

    def _rivals_of(self, star: str) -> tuple[str, ...]:
        """The stars on the same products, including the star itself."""
        return self._stars_by_tree[self._stars[star].tree]

    def _touched(self, kind: Kind, item: Document) -> set[str]:
        if kind is PROCESSING:
            return set(self._rivals_of(item["metadata"]["name"]))
        if kind in (JOB, POD):
            if kind is JOB:
                star = self._star_by_uid.get(_owner(item))
            else:
                star = self._star_by_label.get(item["metadata"].get("labels", {}).get(PROCESSING_LABEL, ""))
            # Another star on the same products may wait for this Job to finish.
            return set(self._rivals_of(star)) if star is not None else set()
        # Pipelines and modules matter only to stars that have not been accepted yet.
        return {name for name, star in self._stars.items() if not star.revision}

    def _store(self, kind: Kind, name: str, item: Document) -> None:
        labels = item["metadata"].get("labels", {})
        if kind is PROCESSING:
            self._stars[name] = star = PackedStar.of(item)
            self._star_by_label[label_value(name)] = name
            self._star_by_uid[star.uid] = name
            self._stars_by_tree[star.tree] = (*self._stars_by_tree.get(star.tree, ()), name)
            metrics.KNOWN_STARS.set(len(self._stars))
            return
        if kind is MODULE:
            metrics.announce_module(name)
        finished = _finished(kind, item)
        known = self._objects[kind].get(name)
        self._objects[kind][name] = PackedFinished.of(item) if finished else item
        if kind is JOB:
            self._jobs_by_owner[_owner(item)].add(name)
            self._count_jobs(finished - isinstance(known, PackedFinished))
        elif kind is POD:
            self._pods_by_job[labels.get(JOB_NAME_LABEL, "")].add(name)
            self._pods_by_star[labels.get(PROCESSING_LABEL, "")].add(name)

    def _remove(self, kind: Kind, name: str) -> None:
        if kind is PROCESSING:
            star = self._stars.pop(name)
            self._star_by_label.pop(label_value(name), None)
            self._star_by_uid.pop(star.uid, None)
            others = tuple(one for one in self._stars_by_tree.pop(star.tree) if one != name)
            if others:
                self._stars_by_tree[star.tree] = others
            metrics.KNOWN_STARS.set(len(self._stars))
            return
        known = self._objects[kind].pop(name)
        document = _document(known)
        labels = document["metadata"].get("labels", {})
        if kind is JOB:
            _discard(self._jobs_by_owner, _owner(document), name)
            self._count_jobs(-isinstance(known, PackedFinished))
        elif kind is POD:
            _discard(self._pods_by_job, labels.get(JOB_NAME_LABEL, ""), name)
            _discard(self._pods_by_star, labels.get(PROCESSING_LABEL, ""), name)

    def _count_jobs(self, finished: int) -> None:
        """Update the metric of Jobs; `finished`: by how many the finished ones have increased."""
        self._finished_jobs += finished
        metrics.JOBS.labels("active").set(len(self._objects[JOB]) - self._finished_jobs)
        metrics.JOBS.labels("finished").set(self._finished_jobs)


def decisive(kind: Kind, item: Document) -> bool:
    """Whether the event may change a decision; progress inside a Job only updates the status."""
    return kind not in (JOB, POD) or _finished(kind, item)


def _finished(kind: Kind, item: Document) -> bool:
    """Whether it is a finished Job or pod."""
    return pod_finished(item) if kind is POD else kind is JOB and job_finished(item)


def _document(kept: _Kept) -> Document:
    return kept.document() if isinstance(kept, PackedFinished) else kept


def _identity(kept: _Kept) -> tuple[str, int]:
    """The uid and version."""
    return (kept.uid, kept.version) if isinstance(kept, PackedFinished) else (kept["metadata"]["uid"], version_of(kept))


def _owner(item: Document) -> str:
    """The uid of the object's controller."""
    owners = item["metadata"].get("ownerReferences", [])
    return next((str(one["uid"]) for one in owners if one.get("controller")), "")


def _discard(index: dict[Any, set[str]], key: Any, name: str) -> None:
    index[key].discard(name)
    if not index[key]:
        del index[key]
