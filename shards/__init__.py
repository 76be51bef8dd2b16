"""Shards: corpus to tar shards to batches.  Knows the features; knows no model."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "EvaluationLoader": "shards.loading.loader",
        "FeatureProcessor": "shards.writing.processor",
        "ShardSet": "shards.shard_set.manifest",
        "TrainingLoader": "shards.loading.loader",
        "open_corpus": "shards.corpora",
        "open_shards": "shards.streaming.loader",
    },
)
