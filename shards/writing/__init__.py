"""Corpus to tar shards: parallel, resumable, over many machines, the same bytes each time."""
