"""What is really running: processes, precision, signals, exit status."""
