"""The memory of the losses over pairs follows the tile, not the number of keys: counted bytes, with 64 anchors.

Shapes: B anchors, N keys, E embedding.
"""

import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from accent.losses.contrastive import contrastive_loss
from accent.losses.pairs import LabelledEmbeddings, PairRule
from accent.losses.semi_hard import semi_hard_loss
from accent.losses.triplet import triplet_loss
from tests.support.live_bytes import LiveBytes
from tests.support.loss_rows import full_matrix, random_rows, some

ANCHORS, EMBEDDING, TILE = 64, 4, 4096
KEYS = (4096, 16384, 65536)
TABLE = ANCHORS * TILE * 4
"""Bytes of a block's comparisons in float32."""
RULE = PairRule("other_speaker")

PairSum = Callable[[LabelledEmbeddings, LabelledEmbeddings, Tensor], Tensor]
LOSSES: dict[str, PairSum] = {
    "contrastive": lambda anchors, keys, t: contrastive_loss(anchors, keys, t, RULE, TILE).total,
    "batch_hard": lambda anchors, keys, t: triplet_loss(anchors, keys, 0.3, RULE, TILE)[0].total,
    "semi_hard": lambda anchors, keys, t: semi_hard_loss(anchors, keys, 0.3, RULE, TILE)[0].total,
}


def rows_of(keys: int) -> tuple[LabelledEmbeddings, LabelledEmbeddings, Tensor]:
    """Anchors and keys as they come from a gather: tensors of their own, and both want a gradient."""
    rows = random_rows(keys, accents=8, speakers=32, dimensions=EMBEDDING)
    rows = rows._replace(embedding_NE=rows.embedding_NE.float())
    anchors = some(rows, slice(0, ANCHORS))
    anchors = anchors._replace(embedding_NE=anchors.embedding_NE.clone().requires_grad_())
    return anchors, rows._replace(embedding_NE=rows.embedding_NE.requires_grad_()), torch.ones(1, requires_grad=True)


def saved_bytes(loss: PairSum, keys: int) -> int:
    """Bytes that autograd keeps between forward and backward, the labels and the embeddings themselves aside."""
    anchors, rows, temperature = rows_of(keys)
    kept: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def keep(one: Tensor) -> _Kept:
        kept.add(held := _Kept(one))
        return held

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda held: held.tensor):
        total = loss(anchors, rows, temperature)
    assert total.requires_grad
    given = {one.untyped_storage().data_ptr() for one in (*anchors, *rows, temperature)}
    storages = {held.tensor.untyped_storage().data_ptr(): held.tensor.untyped_storage().nbytes() for held in kept}
    return sum(size for place, size in storages.items() if place not in given)


class _Kept:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def peak_bytes(loss: PairSum, keys: int) -> int:
    """The most bytes of forward and backward together."""
    anchors, rows, temperature = rows_of(keys)
    with LiveBytes([*anchors, *rows, temperature]) as counter:
        loss(anchors, rows, temperature).backward()
    return counter.peak


@pytest.mark.parametrize("name", LOSSES)
def test_between_forward_and_backward_no_more_is_kept_than_the_gradients(name: str) -> None:
    for keys in KEYS:
        gradients = (ANCHORS + keys) * EMBEDDING * 4 + 4
        assert saved_bytes(LOSSES[name], keys) <= gradients


@pytest.mark.parametrize("name", LOSSES)
def test_the_peak_follows_the_tile_and_not_the_keys(name: str) -> None:
    peaks = [peak_bytes(LOSSES[name], keys) for keys in KEYS]
    for keys, peak in zip(KEYS, peaks, strict=True):
        # Four tensors like the keys are the gradients: summed up, of a block, scaled, and what the leaf receives.
        assert peak <= 14 * TABLE + 4 * keys * EMBEDDING * 4, keys
    assert peaks[-1] < 2 * peaks[0]


def test_the_full_matrix_keeps_and_needs_what_grows_with_the_keys() -> None:
    saved, peaks = ([count(partial(full_matrix, RULE), keys) for keys in KEYS] for count in (saved_bytes, peak_bytes))
    for keys, one_saved, peak in zip(KEYS, saved, peaks, strict=True):
        assert peak > one_saved > ANCHORS * keys * 4
    assert saved[-1] > 15 * saved[0] and peaks[-1] > 15 * peaks[0]
