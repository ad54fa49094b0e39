"""The operators.

Their modules are imported whenever a DAG file is parsed. Kubernetes' clients take most of a second to import, so hooks,
triggers and what speaks to the API server are imported where a task runs.
"""
