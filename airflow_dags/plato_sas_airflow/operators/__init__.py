"""The operators.

Their modules are imported whenever a DAG file is parsed. Importing Kubernetes' clients takes most of a second, so
hooks, triggers and clients are imported only when a task runs.
"""
