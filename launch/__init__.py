"""Launch: training, evaluating and showing the whole system at work."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "extract_embeddings": "launch.evaluation.evaluate",
        "train_accent_encoder": "launch.training.run",
    },
)
