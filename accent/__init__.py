"""Accent: sound to features to embedding.  Knows torch and numpy; knows no shard files and no processes."""

from accent.exports import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "AccentEmbedder": "accent.embedder",
        "AccentError": "accent.errors",
        "EnhancedAccentEncoder": "accent.model.encoder",
        "ModelConfig": "accent.model.config",
    },
)
