"""The losses, each over local anchors and the keys of every rank, and their weighted sum."""

from importlib import import_module
from typing import Any

_HOME = {
    "AccentObjective": "accent.losses.objective",
    "LossConfig": "accent.losses.config",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'accent.losses' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
