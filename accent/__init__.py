"""Accent: sound to features to embedding.  Knows torch and numpy; knows no shard files and no processes."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "AccentEmbedder": "accent.inference.embedder",
        "AccentError": "accent.errors",
        "EnhancedAccentEncoder": "accent.model.encoder",
        "ModelConfig": "accent.model.config",
    },
)
