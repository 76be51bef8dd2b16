"""Who trains, who validates, who is tested: by speaker."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from shards.splits.split import Split as Split
    from shards.splits.split import SplitConfig as SplitConfig
    from shards.splits.split import make_split as make_split
else:
    __getattr__, __all__ = lazy(
        __name__,
        {
            "Split": "shards.splits.split",
            "SplitConfig": "shards.splits.split",
            "make_split": "shards.splits.split",
        },
    )
