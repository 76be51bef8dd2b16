"""Launch: training, evaluating and showing the whole system at work.

The names below load on first use, so that the command line answers at once.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "extract_embeddings": "launch.evaluate",
    "train_accent_encoder": "launch.train",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'launch' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
