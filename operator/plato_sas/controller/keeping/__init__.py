"""What outlives a Job: its log, the archive, and when a Job may be deleted."""
