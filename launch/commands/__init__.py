"""One small file a command: it parses its words and calls one function elsewhere."""
