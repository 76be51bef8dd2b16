"""What a run is worth on speakers it never heard."""
