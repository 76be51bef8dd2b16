"""Accent: sound to features to embedding.  Knows torch and numpy; knows no shard files and no processes."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from accent.errors import AccentError as AccentError
    from accent.inference.accent_model import AccentModel as AccentModel
    from accent.inference.accent_model import load as load
    from accent.inference.embedder import AccentEmbedder as AccentEmbedder
    from accent.model.config import ModelConfig as ModelConfig
    from accent.model.encoder import EnhancedAccentEncoder as EnhancedAccentEncoder
else:
    __getattr__, __all__ = lazy(
        __name__,
        {
            "AccentEmbedder": "accent.inference.embedder",
            "AccentError": "accent.errors",
            "AccentModel": "accent.inference.accent_model",
            "EnhancedAccentEncoder": "accent.model.encoder",
            "ModelConfig": "accent.model.config",
            "load": "accent.inference.accent_model",
        },
    )
