"""Forced alignment: words and phones in time, for a corpus that has transcripts and no TextGrids."""
