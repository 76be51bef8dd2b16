"""A trained model at work: calibrated, asked from the shell, exported."""
