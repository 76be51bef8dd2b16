"""Choose samples of a shard set by speaker and prompt.  Cost: one look at the index.

Shape legend: N samples.
"""

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np

from shards.shard_set.manifest import ShardSet


def select_samples(
    shard_set: ShardSet,
    speakers: Iterable[str],
    prompts: Iterable[str] | None = None,
    but_not_prompts: Iterable[str] = (),
) -> np.ndarray:
    """Return the numbers of the samples of some speakers.

    Args:
        shard_set: where the samples are.
        speakers: names.
        prompts: names; None takes all prompts.
        but_not_prompts: names of prompts that are left out.

    Returns:
        int64 [N], ascending.

    Raises:
        AccentError: an unknown speaker or prompt.
    """
    # A table of what is chosen answers for each row by its number; a search would sort the rows.
    chosen_S = np.zeros(len(shard_set.speakers), bool)
    chosen_S[shard_set.speaker_positions(speakers)] = True
    chosen_N = chosen_S[shard_set.index["speaker"]]
    left_out = shard_set.prompt_positions(but_not_prompts)
    if prompts is not None or len(left_out):
        chosen_P = np.full(shard_set.manifest.n_prompts, prompts is None)
        chosen_P[shard_set.prompt_positions(prompts or ())] = True
        chosen_P[left_out] = False
        chosen_N &= chosen_P[shard_set.index["prompt"]]
    return np.flatnonzero(chosen_N)


def known_prompts(shard_set: ShardSet, names: Iterable[str]) -> list[str]:
    """Return those of some prompts that a shard set has, sorted."""
    prompts = shard_set.prompts
    positions = ((name, bisect_left(prompts, name)) for name in sorted(set(names)))
    return [name for name, at in positions if at < len(prompts) and prompts[at] == name]
