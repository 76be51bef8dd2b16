"""The encoder: feature families in, one unit-length accent embedding an utterance out."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from accent.model.config import ModelConfig as ModelConfig
    from accent.model.encoder import EncoderOutput as EncoderOutput
    from accent.model.encoder import EnhancedAccentEncoder as EnhancedAccentEncoder
else:
    __getattr__, __all__ = lazy(
        __name__,
        {
            "EncoderOutput": "accent.model.encoder",
            "EnhancedAccentEncoder": "accent.model.encoder",
            "ModelConfig": "accent.model.config",
        },
    )
