"""`make demo`: real Kepler stars and a simulated one through the pipeline, by Airflow, on a real Kubernetes."""
