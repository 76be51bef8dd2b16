"""The losses, each over local anchors and the keys of every rank, and their weighted sum."""

from accent.exports import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "AccentObjective": "accent.losses.objective",
        "LossConfig": "accent.losses.config",
        "RowOutputs": "accent.losses.outputs",
        "join_rows": "accent.losses.outputs",
        "row_outputs": "accent.losses.outputs",
    },
)
