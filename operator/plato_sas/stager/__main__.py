"""`python -m plato_sas.stager stage-in|publish`, the commands of the stager's containers."""

import argparse
import json
import os
import sys

from plato_sas.stager.description import STAGE_VARIABLE, Stage
from plato_sas.stager.messages import LIMIT, Problem, Published, StagedIn
from plato_sas.stager.publish import publish
from plato_sas.stager.roots import Roots
from plato_sas.stager.stage_in import stage_in


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="plato_sas.stager",
        description="Prepares a stage's inputs before its modules run, or publishes their outputs afterwards.",
    )
    parser.add_argument("action", choices=["stage-in", "publish"])
    action = parser.parse_args().action
    os.umask(0o022)
    roots = Roots.of_pod()
    report: StagedIn | Published | Problem
    try:
        report = (
            stage_in(Stage.from_json(os.environ[STAGE_VARIABLE]), roots) if action == "stage-in" else publish(roots)
        )
    except Problem as problem:
        report = problem
    except OSError as error:
        # A full or read-only volume: not the module's fault, so the operator may try again.
        reason = "StageInFailed" if action == "stage-in" else "PublishFailed"
        report = Problem("", reason, f"{action}: {error}")
    message = report.to_json()
    if len(message.encode()) > LIMIT:
        report = Problem("", "ReportTooLarge", f"{action}: the report has {len(message)} bytes, {LIMIT} fit")
        message = report.to_json()
    roots.termination_log.write_text(message)
    failed = isinstance(report, Problem)
    line = {"component": action, "severity": "error" if failed else "info", "report": json.loads(message)}
    print(json.dumps(line), file=sys.stderr if failed else sys.stdout, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
