"""What a run learns: accents, phones, or hidden frames."""
