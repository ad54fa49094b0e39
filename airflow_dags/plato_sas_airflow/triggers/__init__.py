"""The triggers: what waits in Airflow's triggerer for operators and the sensor."""
