"""Airflow for PLATO SAS: create StarProcessing resources and watch them; the operator does the rest.

Airflow processes nothing itself. A task is a batch of stars: it applies one StarProcessing per star and defers to one
trigger, which follows the whole batch with a single watch.
"""
