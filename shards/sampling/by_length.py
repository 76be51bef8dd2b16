"""Whole utterances for evaluation, grouped by length so that little of a batch is padding.

Cost: one sort of the lengths.

Shape legend: N samples, B rows of one process's batch.
"""

import numpy as np

from shards.sampling.sampler import NO_SAMPLE


def evaluation_batches(
    numbers_N: np.ndarray, frames_N: np.ndarray, frames_per_batch: int, world_size: int
) -> list[np.ndarray]:
    """Share whole utterances among processes by length: each exactly once, the same shape of plan on all ranks.

    The longest come first, so that a batch too large for the memory fails at once.

    Args:
        numbers_N: integers [N], sample numbers, each once.
        frames_N: integers [N], length of each in frames.
        frames_per_batch: most frames of one rank's batch, padding counted; an utterance longer than that comes alone.
        world_size: number of processes.

    Returns:
        A list of int64 [world_size, B], one a batch: row r holds rank r's sample numbers, -1 where there is none left.
        B differs from batch to batch, not from rank to rank.

    Raises:
        ValueError: a sample is given twice.
        AssertionError: the plan is not a partition of the samples (a fault of this function).
    """
    numbers_N = np.asarray(numbers_N, np.int64)
    if len(np.unique(numbers_N)) != len(numbers_N):
        raise ValueError("a sample number is given twice")
    longest_first = np.lexsort((numbers_N, -np.asarray(frames_N, np.int64)))
    batches = []
    start = 0
    while start < len(numbers_N):
        longest = int(frames_N[longest_first[start]])
        rows = max(1, frames_per_batch // max(1, longest))
        taken = longest_first[start : start + rows * world_size]
        # The last group may be small: no more rows than it needs.
        rows = -(-len(taken) // world_size)
        batch = np.full(rows * world_size, NO_SAMPLE, np.int64)
        batch[: len(taken)] = numbers_N[taken]
        batches.append(batch.reshape(world_size, rows))
        start += len(taken)
    planned = np.concatenate([batch.ravel() for batch in batches]) if batches else numbers_N
    if not np.array_equal(np.sort(planned[planned != NO_SAMPLE]), np.sort(numbers_N)):
        raise AssertionError("the evaluation plan is not a partition of the samples")
    return batches
