"""What the mission's DAGs do: forms, target lists, arrivals, reprocessing."""
