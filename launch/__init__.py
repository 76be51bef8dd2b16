"""Launch: training, evaluating and showing the whole system at work."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from launch.extraction.extract import extract_embeddings as extract_embeddings
    from launch.training.run import train_accent_encoder as train_accent_encoder
else:
    __getattr__, __all__ = lazy(
        __name__,
        {
            "extract_embeddings": "launch.extraction.extract",
            "train_accent_encoder": "launch.training.run",
        },
    )
