"""Airflow's REST API (v2), as far as the demo and the tests need it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

_FINAL = ("success", "failed")
_POLL_SECONDS = 1.0
_PAGE = 100  # Airflow's maximum
Json = dict[str, Any]


class AirflowApiError(Exception):
    """Airflow refused a request, or did not answer."""


@dataclass(frozen=True)
class RunResult:
    """A finished DAG run. `result`: what each task pushed as its `return_value`.

    `stars[0]` is the first instance of the mapped task `stars`.
    """

    run_id: str
    state: str
    tasks: dict[str, str]
    result: dict[str, Any]
    seconds: float

    @property
    def succeeded(self) -> bool:
        return self.state == "success"


class AirflowApi:
    """A session of one user. The token is fetched at the first request, and again after it expires."""

    def __init__(self, url: str, user: str, password: str, timeout_seconds: float = 60.0) -> None:
        self.url = url
        self._credentials = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False)

    def __enter__(self) -> "AirflowApi":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def health(self) -> Json:
        """Status and latest heartbeat of every component."""
        return self._json("GET", "/api/v2/monitor/health", authenticated=False)

    def warm_up(self, timeout_seconds: float) -> None:
        """Make the API server build the routes that tasks use.

        It builds them at the first such request and answers nothing else meanwhile: for seconds, or for half a minute
        on a busy machine, which is longer than a task waits.
        """
        try:
            self._client.get("/execution/health", timeout=timeout_seconds).raise_for_status()
        except httpx.HTTPError as error:
            raise AirflowApiError(f"GET {self.url}/execution/health: {error or type(error).__name__}") from error

    def dag(self, dag_id: str) -> Json | None:
        """The DAG as Airflow knows it; None before it has been parsed."""
        answer = self._send("GET", f"/api/v2/dags/{dag_id}")
        return None if answer.status_code == 404 else self._content(answer)

    def import_errors(self) -> list[Json]:
        """DAG files that could not be parsed: `filename`, `stack_trace`."""
        found: list[Json] = self._json("GET", "/api/v2/importErrors")["import_errors"]
        return found

    def trigger_dag(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run with `conf` as its parameters; returns its run id."""
        body = {"logical_date": None, "conf": dict(conf)}
        return str(self._json("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        return self._json("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """All of a run, page by page."""
        found: list[Json] = []
        while True:
            query = f"limit={_PAGE}&offset={len(found)}&order_by=id"
            page = self._json("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?{query}")
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as a user would: `success` or `failed`."""
        self._json("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", {"state": state})

    def set_pool(self, name: str, slots: int) -> None:
        """Set the number of a pool's slots; creates the pool if it does not exist."""
        body = {"slots": slots, "include_deferred": False}
        if self._send("GET", f"/api/v2/pools/{name}").status_code == 404:
            self._json("POST", "/api/v2/pools", {"name": name, **body})
        else:
            self._json("PATCH", f"/api/v2/pools/{name}", {"pool": name, **body})

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task as a user would: `success`, `failed` or `skipped`."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._json("PATCH", path, {"new_state": state})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task, or one instance of a mapped task, pushed under `key`; or None."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        answer = self._send("GET", path, params={"deserialize": "true", "map_index": map_index})
        return None if answer.status_code == 404 else self._content(answer)["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> list[str]:
        """The lines of a task's log: the message of each entry, and of the exception that it carries.

        Empty before the try has begun.
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self._send("GET", path, headers={"Accept": "application/json"}, params={"full_content": "true"})
        if answer.status_code == 404:
            return []
        lines: list[str] = []
        for entry in self._content(answer)["content"]:
            lines.append(entry if isinstance(entry, str) else str(entry.get("event", "")))
            errors = entry.get("error_detail") if isinstance(entry, dict) else None
            lines += [f"{error['exc_type']}: {error['exc_value']}" for error in errors or []]
        return lines

    def run_page(self, dag_id: str, run_id: str) -> str:
        """The run's page in the browser."""
        return f"{self.url}/dags/{dag_id}/runs/{run_id}"

    def wait_run(
        self,
        dag_id: str,
        run_id: str,
        timeout_seconds: float,
        on_progress: Callable[[dict[str, str]], None] = lambda _tasks: None,
    ) -> RunResult:
        """Wait until a run has ended. `on_progress` is called with the tasks' states at every poll.

        Raises AirflowApiError when the run has not ended after `timeout_seconds`.
        """
        began = time.monotonic()
        while True:
            run = self.run(dag_id, run_id)
            instances = self.task_instances(dag_id, run_id)
            tasks = {_instance(one): str(one["state"] or "none") for one in instances}
            on_progress(tasks)
            if run["state"] in _FINAL:
                results = {
                    _instance(one): self.xcom(dag_id, run_id, one["task_id"], map_index=one["map_index"])
                    for one in instances
                }
                return RunResult(run_id, run["state"], tasks, results, time.monotonic() - began)
            if time.monotonic() - began > timeout_seconds:
                raise AirflowApiError(
                    f"run {run_id} of {dag_id} is {run['state']} after {timeout_seconds:.0f} s; tasks: {tasks}"
                )
            time.sleep(_POLL_SECONDS)

    def _json(self, method: str, path: str, body: Json | None = None, authenticated: bool = True) -> Json:
        return self._content(self._send(method, path, authenticated=authenticated, json=body))

    def _content(self, answer: httpx.Response) -> Json:
        if answer.is_error:
            raise AirflowApiError(f"{answer.request.method} {answer.request.url.path}: {_detail(answer)}")
        content: Json = answer.json()
        return content

    def _send(self, method: str, path: str, authenticated: bool = True, **options: Any) -> httpx.Response:
        try:
            if authenticated and "Authorization" not in self._client.headers:
                self._log_in()
            answer = self._client.request(method, path, **options)
            if answer.status_code == 401 and authenticated:
                self._log_in()
                answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise AirflowApiError(f"{method} {self.url}{path}: {error or type(error).__name__}") from error
        return answer

    def _log_in(self) -> None:
        answer = self._client.post("/auth/token", json=self._credentials)
        if answer.is_error:
            raise AirflowApiError(f"log in as {self._credentials['username']}: {_detail(answer)}")
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _detail(answer: httpx.Response) -> str:
    """Airflow's own words for why it refused a request."""
    try:
        detail = answer.json().get("detail", answer.text)
    except ValueError:
        detail = answer.text
    text = detail if isinstance(detail, str) else json.dumps(detail)
    return f"HTTP {answer.status_code}: {text[:500]}"


def _instance(task: Json) -> str:
    """A task instance's name."""
    index = task["map_index"]
    return str(task["task_id"]) if index < 0 else f"{task['task_id']}[{index}]"


def timestamp(text: str | None) -> float:
    """A time of the API as seconds since the epoch; 0 if there is none."""
    if not text:
        return 0.0
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
