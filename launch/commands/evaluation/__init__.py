"""Commands that say what a run is worth on unseen speakers."""
