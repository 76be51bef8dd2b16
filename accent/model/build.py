"""One name for all encoders, and what makes the one that a configuration asks for."""

from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.phonetic.encoder import PhoneticEncoder

AccentEncoder = EnhancedAccentEncoder | PhoneticEncoder
"""Whatever turns frames into an `EncoderOutput`."""


def build_encoder(config: ModelConfig) -> AccentEncoder:
    """Return a new encoder with fresh weights."""
    return PhoneticEncoder(config) if config.branch == "phones" else EnhancedAccentEncoder(config)
