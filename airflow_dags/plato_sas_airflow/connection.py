"""The Airflow connection that is used where none is named."""

DEFAULT_CONNECTION = "kubernetes_default"
"""Written down here, since asking Airflow's Kubernetes hook for it imports the Kubernetes clients."""
