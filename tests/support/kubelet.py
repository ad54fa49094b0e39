"""Pods without a node: what the containers of an operator's Job report, one after the other."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from plato_sas.api import Document
from plato_sas.jobs.names import CHECK, CHECK_ANNOTATION, JOB_NAME_LABEL, PUBLISH, STAGE_IN, step_container
from plato_sas.stager.description import PUBLISH_VARIABLE, STAGE_VARIABLE, PublishOrder, Stage

WAITING: Document = {"waiting": {"reason": "PodInitializing"}}


class Kubelet:
    """Runs the pods of Jobs. What was published and what attempts have left behind is kept as on a volume."""

    def __init__(self, clock: Callable[[], str]) -> None:
        self.exit_codes: dict[str, list[int]] = {}  # by step, for one run after the other; then the last for ever
        self.facts: dict[str, dict[str, Any]] = {}  # by step
        self.reusable: set[str] = set()  # steps of which a product of the same key is there
        self.published: list[tuple[str, int, str]] = []  # uid of the star, rerun, step
        self.runs: list[str] = []  # steps, each time one was run
        self._clock = clock
        self._done: set[tuple[str, str]] = set()
        self._left: dict[str, dict[str, tuple[str, int, str]]] = {}  # by attempt: steps that ended well

    def running(self, job: Document, step: str) -> Document:
        """The Job's pod while a step runs."""
        stage = _stage(job)
        assert stage is not None
        at = self._clock()
        containers = {name: dict(WAITING) for name in _containers(stage)}
        for name in containers:
            if name == step_container(step):
                containers[name] = {"running": {"startedAt": at}}
                break
            containers[name] = _terminated(0, "", at, at)
        return self._pod(job, "Running", containers, at)

    def run(self, job: Document) -> Document:
        """The Job's pod after its end."""
        started = self._clock()
        stage = _stage(job)
        if CHECK_ANNOTATION in job["metadata"].get("annotations", {}):
            containers = self._check(job)
        else:
            containers = self._stage(stage) if stage is not None else self._salvage(job)
        failed = any(one.get("terminated", {"exitCode": 1})["exitCode"] for one in containers.values())
        return self._pod(job, "Failed" if failed else "Succeeded", containers, started)

    def _stage(self, stage: Stage) -> dict[str, Document]:
        containers = {name: dict(WAITING) for name in _containers(stage)}
        reused = {one.name: _product({}) for one in stage.steps if one.name in self.reusable and one.forced is None}
        report: Document = {"inputs": {"DP1_LC_MERGED": "c" * 64}}
        if reused:
            containers[STAGE_IN] = self._ended(1, json.dumps(report | {"reused": reused}))
            return containers
        containers[STAGE_IN] = self._ended(0, json.dumps(report))
        left = self._left.setdefault(stage.id, {})
        for step in stage.steps:
            self.runs.append(step.name)
            code = self._exit_code(step.name)
            containers[step_container(step.name)] = self._ended(code, "bad data" if code else "")
            if code:
                return containers
            left[step.name] = (stage.processing, stage.rerun, step.name)
        containers[PUBLISH] = self._publish(stage.id, [step.name for step in stage.steps])
        return containers

    def _check(self, job: Document) -> dict[str, Document]:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        stage = Stage.from_json(_variable(container, STAGE_VARIABLE))
        reused = {one.name: _product({}) for one in stage.steps if one.name in self.reusable and one.forced is None}
        report: Document = {"inputs": {"DP1_LC_MERGED": "c" * 64}}
        return {CHECK: self._ended(0, json.dumps(report | ({"reused": reused} if reused else {})))}

    def _salvage(self, job: Document) -> dict[str, Document]:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        order = PublishOrder.from_json(_variable(container, PUBLISH_VARIABLE))
        return {PUBLISH: self._publish(order.attempt, order.steps)}

    def _publish(self, attempt: str, steps: Iterable[str]) -> Document:
        report: dict[str, Document] = {}
        for step in steps:
            made = self._left[attempt].get(step)
            assert made is not None, f"{attempt} has not made {step}"
            # What this attempt has published already is told again.
            if (attempt, step) not in self._done:
                self._done.add((attempt, step))
                self.published.append(made)
            report[step] = _product(self.facts.get(step, {}))
        return self._ended(0, json.dumps({"steps": report}))

    def _exit_code(self, step: str) -> int:
        codes = self.exit_codes.get(step, [0])
        return codes.pop(0) if len(codes) > 1 else codes[0]

    def _ended(self, code: int, message: str) -> Document:
        return _terminated(code, message, self._clock(), self._clock())

    def _pod(self, job: Document, phase: str, containers: dict[str, Document], started: str) -> Document:
        name = job["metadata"]["name"]
        labels = {**job["spec"]["template"]["metadata"]["labels"], JOB_NAME_LABEL: name}
        pod = job["spec"]["template"]["spec"]
        # What a kubelet tells besides, and nobody here reads.
        statuses = [
            {"name": one, "state": state, "image": "registry/module:1", "ready": False, "restartCount": 0}
            for one, state in containers.items()
        ]
        return {
            "metadata": {"name": f"{name}-pod", "labels": labels},
            "spec": {**pod, "nodeName": "node-1"},
            "status": {
                "phase": phase,
                "startTime": started,
                "podIP": "10.0.0.1",
                "initContainerStatuses": [one for one in statuses if one["name"] not in (CHECK, PUBLISH)],
                "containerStatuses": [one for one in statuses if one["name"] in (CHECK, PUBLISH)],
            },
        }


def _stage(job: Document) -> Stage | None:
    containers = job["spec"]["template"]["spec"].get("initContainers")
    return Stage.from_json(_variable(containers[0], STAGE_VARIABLE)) if containers else None


def _variable(container: Document, name: str) -> str:
    value: str = next(one["value"] for one in container["env"] if one["name"] == name)
    return value.replace("$$", "$")


def _containers(stage: Stage) -> list[str]:
    return [STAGE_IN, *(step_container(step.name) for step in stage.steps), PUBLISH]


def _terminated(code: int, message: str, started: str, ended: str) -> Document:
    reason = "Error" if code else "Completed"
    return {
        "terminated": {
            "exitCode": code, "reason": reason, "message": message, "startedAt": started, "finishedAt": ended,
        }
    }  # fmt: skip


def _product(facts: dict[str, Any]) -> Document:
    return {"digest": "a" * 64, **({"facts": facts} if facts else {})}
