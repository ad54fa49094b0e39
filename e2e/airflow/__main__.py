"""`python -m e2e.airflow`: Airflow for the demo and the tests."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from e2e.airflow.api import AirflowApiError
from e2e.airflow.service import AirflowService, AirflowServiceError
from e2e.airflow.settings import Home
from e2e.processes.daemon import ProcessError


def _up(_options: argparse.Namespace) -> int:
    service = AirflowService()
    service.up()
    print(f"Airflow: {service.url} (user admin, password in {service.home.passwords})")
    return 0


def _down(_options: argparse.Namespace) -> int:
    for home in Home.started():
        AirflowService(home=home).down()
    return 0


def _status(_options: argparse.Namespace) -> int:
    service = AirflowService()
    if service.home.port() is None:
        print("Airflow is not set up here: python -m e2e.airflow up")
        return 0
    for name, line in service.status().items():
        print(f"{name:<14} {line}")
    return 0 if service.running() else 1


def _trigger(options: argparse.Namespace) -> int:
    seen: dict[str, str] = {}

    def show(tasks: dict[str, str]) -> None:
        for task, state in tasks.items():
            if seen.get(task) != state:
                seen[task] = state
                print(f"{task}: {state}", file=sys.stderr, flush=True)

    service = AirflowService()
    if not service.running():
        raise AirflowServiceError("Airflow is not running; start it with `python -m e2e.airflow up`")
    with service.api() as api:
        run_id = api.trigger_dag(options.dag, options.conf)
        print(f"run {run_id}: {api.run_page(options.dag, run_id)}", file=sys.stderr)
        if not options.wait:
            print(run_id)
            return 0
        result = api.wait_run(options.dag, run_id, options.wait, show)
        print(json.dumps({"run": run_id, "state": result.state, "result": result.result}, indent=2))
        return 0 if result.succeeded else 1


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.airflow", description="Airflow for the demo and the tests.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    command("up", _up, "Start Airflow and wait until it is healthy; nothing happens if it is.")
    command("down", _down, "Stop every process of Airflow, of tests and benchmarks, too; databases and logs stay.")
    command("status", _status, "Show the components; the exit code is 1 if one of them does not run.")
    trigger = command("trigger", _trigger, "Start a run of a DAG.")
    trigger.add_argument("dag", help="such as plato_sas_star")
    trigger.add_argument(
        "conf", type=_fields, nargs="?", default={}, help='fields of its form: {"star": "kic-6603624"}'
    )
    trigger.add_argument(
        "--wait", type=float, metavar="SECONDS", help="wait so long for the end, and print the counts as JSON"
    )
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (AirflowApiError, AirflowServiceError, ProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
