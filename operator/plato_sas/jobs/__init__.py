"""Pure: a stage becomes a Job (a dict), a Job and its pod become an outcome. No client, no clock."""
