"""A model over a shard set or over recordings."""
