"""`python -m e2e.airflow`: Airflow for the demo and the tests."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from e2e.airflow.api import AirflowApiError
from e2e.airflow.processes import ProcessError
from e2e.airflow.service import DEMO_DAG, AirflowService, AirflowServiceError


def _up(_options: argparse.Namespace) -> int:
    service = AirflowService()
    service.up()
    print(f"Airflow: {service.url} (user admin, password in {service.home.passwords})")
    return 0


def _down(_options: argparse.Namespace) -> int:
    AirflowService().down()
    return 0


def _status(_options: argparse.Namespace) -> int:
    service = AirflowService()
    for name, line in service.status().items():
        print(f"{name:<14} {line}")
    return 0 if service.running() else 1


def _trigger(options: argparse.Namespace) -> int:
    conf = {
        "stars": options.star,
        "campaign": options.campaign,
        "pipeline": options.pipeline,
        "namespace": options.namespace,
    }
    given = {key: value for key, value in conf.items() if value is not None}
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
        run_id = api.trigger_dag(DEMO_DAG, given)
        print(f"run {run_id}: {api.run_page(DEMO_DAG, run_id)}", file=sys.stderr)
        if not options.wait:
            print(run_id)
            return 0
        result = api.wait_run(DEMO_DAG, run_id, options.wait, show)
        print(json.dumps({"run": run_id, "state": result.state, "result": result.result}, indent=2))
        return 0 if result.succeeded else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.airflow", description="Airflow for the demo and the tests.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    command("up", _up, "Start Airflow and wait until it is healthy; nothing happens if it is.")
    command("down", _down, "Stop every process of Airflow; its database and logs stay.")
    command("status", _status, "Show the components; the exit code is 0 if all of them run.")
    trigger = command("trigger", _trigger, f"Start a run of the DAG {DEMO_DAG}.")
    trigger.add_argument(
        "--star", action="append", metavar="ID", help="a star; may be given again (default: the DAG's)"
    )
    trigger.add_argument("--campaign", help="campaign (quarter) of the run")
    trigger.add_argument("--pipeline", help="name of the StarPipeline")
    trigger.add_argument("--namespace", help="namespace of the StarProcessing resources")
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
