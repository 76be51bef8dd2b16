"""Batches compared, kept and joined."""

from collections.abc import Iterable

import torch

from shards.loading.batch import Batch


def same(left: Batch, right: Batch) -> bool:
    return all(
        one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes() and one.shape == other.shape
        for one, other in zip(left, right, strict=True)
    )


def kept(batches: Iterable[Batch]) -> list[Batch]:
    """Copies: a batch itself lives until the next one is asked for."""
    return [batch.to("cpu") for batch in batches]


def joined(batches: list[Batch]) -> Batch:
    return Batch(*(torch.cat(tensors) for tensors in zip(*batches, strict=True)))
