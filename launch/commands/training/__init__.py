"""Commands around a training: its settings and its job script."""
