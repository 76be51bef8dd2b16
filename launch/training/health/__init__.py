"""What looks after a run that trains for days: its health file, warnings, evidence of a fault, and restarts."""
