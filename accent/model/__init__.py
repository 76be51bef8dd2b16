"""The encoder: feature families in, one unit-length accent embedding an utterance out."""

from importlib import import_module
from typing import Any

_HOME = {
    "EncoderOutput": "accent.model.encoder",
    "EnhancedAccentEncoder": "accent.model.encoder",
    "ModelConfig": "accent.model.config",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'accent.model' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
