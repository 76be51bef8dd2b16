"""Shards: corpus to tar shards to batches.  Knows the features; knows no model."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from shards.corpora import open_corpus as open_corpus
    from shards.loading.loader import EvaluationLoader as EvaluationLoader
    from shards.loading.loader import TrainingLoader as TrainingLoader
    from shards.open import open_shards as open_shards
    from shards.shard_set.manifest import ShardSet as ShardSet
    from shards.writing.processor import FeatureProcessor as FeatureProcessor
else:
    __getattr__, __all__ = lazy(
        __name__,
        {
            "EvaluationLoader": "shards.loading.loader",
            "FeatureProcessor": "shards.writing.processor",
            "ShardSet": "shards.shard_set.manifest",
            "TrainingLoader": "shards.loading.loader",
            "open_corpus": "shards.corpora",
            "open_shards": "shards.open",
        },
    )
