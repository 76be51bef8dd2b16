"""Choose samples of a shard set by speaker and prompt.  Cost: one look at the index.

Shape legend: N samples.
"""

from collections.abc import Iterable

import numpy as np

from accent.errors import AccentError
from shards.shard_set.manifest import ShardSet


def select_samples(shard_set: ShardSet, speakers: Iterable[str], prompts: Iterable[str] | None = None) -> np.ndarray:
    """Return the numbers of the samples of some speakers.

    Args:
        shard_set: where the samples are.
        speakers: names.
        prompts: names; None takes all prompts.

    Returns:
        int64 [N], ascending.

    Raises:
        AccentError: an unknown speaker or prompt.
    """
    # A table of who is chosen answers for each row by its number; a search would sort the rows.
    chosen_S = np.zeros(len(shard_set.speakers), bool)
    chosen_S[shard_set.speaker_positions(speakers)] = True
    chosen_N = chosen_S[shard_set.index["speaker"]]
    if prompts is not None:
        position = {name: number for number, name in enumerate(shard_set.prompts)}
        unknown = sorted(set(prompts) - set(position))
        if unknown:
            raise AccentError(f"{shard_set.place}: no prompt {', '.join(unknown[:5])} here; check the split")
        chosen_N &= np.isin(shard_set.index["prompt"], [position[name] for name in prompts])
    return np.flatnonzero(chosen_N)
