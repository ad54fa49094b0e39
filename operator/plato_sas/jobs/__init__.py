"""Pure functions: from a stage to a Job (a dict), from a Job and its pod to an outcome. No client, no clock."""
