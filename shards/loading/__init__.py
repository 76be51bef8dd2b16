"""Batches of a local shard set."""
