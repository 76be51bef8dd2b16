"""One HTML page of a trained and evaluated run; see README.md."""
