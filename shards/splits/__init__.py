"""Who trains, who validates, who is tested: by speaker."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "Split": "shards.splits.split",
        "SplitConfig": "shards.splits.split",
        "make_split": "shards.splits.split",
    },
)
