"""A log of damaged samples: each is counted whenever it is left out, and named once.  Cost: none."""

import logging

from shards.shard_set.reader import DamagedSampleError

_logger = logging.getLogger(__name__)


class DamageLog:
    """Counts the samples that are left out because they are damaged."""

    def __init__(self) -> None:
        self.count = 0
        """How many so far; a sample that comes again counts again."""
        self._named = set[str]()

    def note(self, error: DamagedSampleError) -> None:
        """Count a damaged sample, and log it unless it was logged before."""
        self.count += 1
        if str(error) not in self._named:
            self._named.add(str(error))
            _logger.warning("left out: %s", error)
