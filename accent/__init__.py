"""Accent: sound to features to embedding.  Knows torch and numpy; knows no shard files and no processes.

The names below load on first use, so that a featurizer's worker processes never import torch.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "AccentEmbedder": "accent.embedder",
    "AccentError": "accent.errors",
    "EnhancedAccentEncoder": "accent.model.encoder",
    "ModelConfig": "accent.model.config",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'accent' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
