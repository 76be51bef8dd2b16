"""The encoder: feature families in, one unit-length accent embedding an utterance out."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "EncoderOutput": "accent.model.encoder",
        "EnhancedAccentEncoder": "accent.model.encoder",
        "ModelConfig": "accent.model.config",
    },
)
