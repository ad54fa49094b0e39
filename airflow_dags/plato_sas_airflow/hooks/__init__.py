"""The hook: resources through an Airflow connection to Kubernetes."""
