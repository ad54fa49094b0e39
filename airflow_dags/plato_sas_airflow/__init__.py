"""Airflow for PLATO SAS: create StarProcessing resources and watch them; the operator does the rest.

Airflow does no work of its own here. A task is a batch of stars: it applies one StarProcessing a star and defers to one
trigger, which follows the whole batch with a single watch.
"""
