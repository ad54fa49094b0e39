"""What outlives a star's resources: logs and records on the products volume, and when resources may be deleted."""
