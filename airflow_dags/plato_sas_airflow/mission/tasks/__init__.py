"""What the tasks of the mission's DAGs do, apart from processing stars. The DAG files put them in order."""
