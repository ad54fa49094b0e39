"""`python -m plato_sas.stager check|stage-in|publish`, the commands of the stager's containers."""

import json
import os
import sys

from plato_sas.stager.description import PUBLISH_VARIABLE, STAGE_VARIABLE, PublishOrder, Stage
from plato_sas.stager.messages import Problem, room
from plato_sas.stager.publish import publish
from plato_sas.stager.roots import Roots
from plato_sas.stager.stage_in import check, stage_in


def main() -> int:
    action = _action()
    os.umask(0o022)
    roots = Roots.of_pod()
    message, complete = _carried_out(action, roots)
    roots.termination_log.write_text(message)
    line = {"component": action, "severity": "info" if complete else "error", "report": json.loads(message)}
    print(json.dumps(line), file=sys.stdout if complete else sys.stderr, flush=True)
    return 0 if complete else 1


def _action() -> str:
    arguments = sys.argv[1:]
    if arguments in (["check"], ["stage-in"], ["publish"]):  # in a pod, where the import would be a tenth of the run
        return arguments[0]
    import argparse

    parser = argparse.ArgumentParser(
        prog="plato_sas.stager",
        description="Finds what need not run, prepares a stage's inputs, or publishes its modules' outputs.",
        epilog=f"What to do is in the environment: {PUBLISH_VARIABLE} for publish, {STAGE_VARIABLE} for the others.",
    )
    parser.add_argument("action", choices=["check", "stage-in", "publish"])
    return str(parser.parse_args().action)


def _document(variable: str) -> str:
    if variable not in os.environ:
        raise SystemExit(f"plato_sas.stager: the environment variable {variable} is not set")
    return os.environ[variable]


def _carried_out(action: str, roots: Roots) -> tuple[str, bool]:
    """The report, and whether the pod may continue (stage-in) or everything ordered was published (publish)."""
    limit = room(1)
    try:
        if action != "publish":
            stage = Stage.from_json(_document(STAGE_VARIABLE))
            limit = room(1 if action == "check" else stage.containers)
            staged = (check if action == "check" else stage_in)(stage, roots).fitted(limit)
            return staged.to_json(), action == "check" or not staged.reused
        order = PublishOrder.from_json(_document(PUBLISH_VARIABLE))
        limit = room(order.containers)
        published = publish(order, roots)
        return published.to_json(), not published.failed
    except Problem as problem:
        return problem.to_json(limit), False
    except OSError as error:
        # A full or read-only volume: not the module's fault, so the operator may retry.
        reason = "PublishFailed" if action == "publish" else "StageInFailed"
        return Problem("", reason, f"{action}: {error}").to_json(limit), False


if __name__ == "__main__":
    sys.exit(main())
