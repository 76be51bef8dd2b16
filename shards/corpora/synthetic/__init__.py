"""The demo's corpus: speech synthesised on the spot, with its alignments."""
