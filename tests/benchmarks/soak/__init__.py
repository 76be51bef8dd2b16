"""A long training, looked at on its way."""
