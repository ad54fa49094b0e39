"""The PLATO SAS pipeline manager: science modules in containers, over hundreds of thousands of stars.

Layers, each importing only those below it: `controller` (kopf, the work queues, the API server), `plan` (pure: what to
do next), `jobs` (pure: a stage as a Kubernetes Job, a Job as an outcome), `collector` (runs in the pods of catalogues),
`stager` (runs in the pods of stars), `api` (the resources).
"""

__version__ = "0.1.0"
