"""The losses, each over local anchors and the keys of every rank, and their weighted sum."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from accent.losses.chunks import RowOutputs as RowOutputs
    from accent.losses.chunks import join_rows as join_rows
    from accent.losses.chunks import row_outputs as row_outputs
    from accent.losses.config import LossConfig as LossConfig
    from accent.losses.objective import AccentObjective as AccentObjective
else:
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
