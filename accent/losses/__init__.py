"""The losses, each over local anchors and the keys of every rank, and their weighted sum."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "AccentObjective": "accent.losses.objective",
        "LossConfig": "accent.losses.config",
        "RowOutputs": "accent.losses.chunks",
        "join_rows": "accent.losses.chunks",
        "row_outputs": "accent.losses.chunks",
    },
)
