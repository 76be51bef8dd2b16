"""Batches of a shard set that lies elsewhere."""
