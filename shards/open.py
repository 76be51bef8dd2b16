"""Open a shard set wherever it is, and make the loaders that read it.  Cost: that of opening (`ShardSet.open`)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split
from shards.streaming.loader import RemoteEvaluationLoader, RemoteTrainingLoader
from shards.streaming.remote_shard_set import RemoteShardSet
from shards.streaming.transport import is_remote

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedShards:
    """A shard set and the loaders that fit it."""

    shard_set: ShardSet

    def training_loader(
        self,
        split: Split | None = None,
        config: BatchConfig | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> TrainingBatches:
        """Return the loader for training; arguments and errors as for `TrainingLoader`."""
        if isinstance(self.shard_set, RemoteShardSet):
            return RemoteTrainingLoader(self.shard_set, split, config, seed, rank, world_size)
        return TrainingLoader(self.shard_set, split, config, seed, rank, world_size)

    def evaluation_loader(
        self,
        speakers: Sequence[str] | None = None,
        config: BatchConfig | None = None,
        rank: int = 0,
        world_size: int = 1,
        prompts: Sequence[str] | None = None,
    ) -> EvaluationBatches:
        """Return the loader for evaluation; arguments and errors as for `EvaluationLoader`."""
        if isinstance(self.shard_set, RemoteShardSet):
            return RemoteEvaluationLoader(self.shard_set, speakers, config, rank, world_size, prompts)
        return EvaluationLoader(self.shard_set, speakers, config, rank, world_size, prompts)


def open_shards(place: str) -> OpenedShards:
    """Open a shard set.

    Args:
        place: a folder, or the address of one elsewhere (`shards.streaming.transport`); that a shell runs the command
            of a `pipe:` is told in a warning.

    Returns:
        The shard set, with loaders for training and evaluation.

    Raises:
        AccentError: it cannot be opened, or is not whole.

    Example:
        >>> shards = open_shards("https://host/shards")  # doctest: +SKIP
        >>> loader = shards.training_loader(make_split(shards.shard_set))  # doctest: +SKIP
    """
    if place.startswith("pipe:"):
        _logger.warning("%s: a shell on this machine runs this command, once for each file of the set", place)
    return OpenedShards(RemoteShardSet.open(place) if is_remote(place) else ShardSet.open(place))
