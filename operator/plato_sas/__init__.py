"""The PLATO SAS pipeline manager: science modules in containers, over hundreds of thousands of stars.

Layers, each importing only those below it: `controller` (kopf, the work queue, the API server), `plan` (pure:
what to do next), `jobs` (pure: a stage as a Kubernetes Job, a Job as an outcome), `stager` (runs inside the
pods), `api` (the resources).
"""

__version__ = "0.1.0"
