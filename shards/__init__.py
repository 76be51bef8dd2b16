"""Shards: corpus to tar shards to batches.  Knows the features; knows no model."""

from accent.exports import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "EvaluationLoader": "shards.loader",
        "FeatureProcessor": "shards.featurize",
        "ShardSet": "shards.manifest",
        "TrainingLoader": "shards.loader",
        "open_corpus": "shards.corpora",
        "open_shards": "shards.streaming",
    },
)
