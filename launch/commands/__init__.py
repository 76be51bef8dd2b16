"""One small file a command: it parses its options and calls one function elsewhere."""
