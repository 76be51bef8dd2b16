"""Launch: training, evaluating and showing the whole system at work."""

from accent.exports import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "extract_embeddings": "launch.evaluate",
        "train_accent_encoder": "launch.training",
    },
)
