"""Shards: corpus to tar shards to batches.  Knows the features; knows no model.

The names below load on first use, so that a featurizer's worker processes never import torch.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "EvaluationLoader": "shards.loader",
    "FeatureProcessor": "shards.featurize",
    "ShardSet": "shards.manifest",
    "TrainingLoader": "shards.loader",
    "open_corpus": "shards.corpora",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'shards' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
