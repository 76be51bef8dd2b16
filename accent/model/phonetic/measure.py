"""Measure what the embedding compares speakers with, on training speakers, before training begins.

Two passes: one over the alignments, for the units and the chain, and one over the sums of the training utterances, for
means, spreads, weights and principal directions.  Nothing here is learned by gradient, and the same sums give the same
numbers, so every process measures the same.

Cost: the sums of at most `MOST_UTTERANCES` utterances; a decomposition of a table of as many rows.

Shapes: N utterances, G speakers, R = G + N rows, V views, K cells, C columns, X entries, Q directions, A accents.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from accent.model.phonetic.embedding import DIRECTION_SCALE, PRIOR_FRAMES, PhoneticEmbedding, ViewTable
from accent.model.phonetic.statistics import PhoneStatistics

MOST_UTTERANCES = 2_000
"""Utterances that are measured at most; of more, each speaker gives equally many."""
ROWS_AT_A_TIME = 64
LEAST_SPREAD = 1e-3
"""Smallest standard deviation that an entry is divided by."""
BETWEEN_POWER = 0.75
"""Power of the ratio of spread between accents to spread within by which an entry is weighed."""


def choose_utterances(speaker_N: np.ndarray, most: int = MOST_UTTERANCES) -> np.ndarray:
    """Return positions of the utterances to measure, the same number of each speaker as far as there are so many.

    >>> choose_utterances(np.array([4, 4, 4, 9]), most=3).tolist()
    [0, 1, 3]
    """
    order_N = np.argsort(speaker_N, kind="stable")
    sorted_N = speaker_N[order_N]
    first_N = np.searchsorted(sorted_N, sorted_N)
    turn_N = np.arange(len(sorted_N)) - first_N
    chosen = np.lexsort((order_N, turn_N))[:most]
    return np.sort(order_N[chosen])


@torch.no_grad()
def measure_embedding(
    embedding: PhoneticEmbedding,
    sums_of: Callable[[Sequence[int]], PhoneStatistics],
    speaker_N: np.ndarray,
    accent_N: np.ndarray,
) -> tuple[Tensor, Tensor]:
    """Fill the tables and the directions of an embedding.

    Args:
        embedding: filled in place.
        sums_of: returns the sums of some of the utterances, by position 0 ... N - 1.
        speaker_N: speaker of each utterance.
        accent_N: accent of each utterance.

    Returns:
        fused_GQ: the speakers on the directions, views summed, each by all utterances.
        accent_G: their accents.
    """
    speakers, row_N = np.unique(speaker_N, return_inverse=True)
    members = [np.flatnonzero(row_N == row) for row in range(len(speakers))]
    accent_G = torch.tensor([int(accent_N[own[0]]) for own in members])

    def of_speakers(rows: Sequence[int]) -> PhoneStatistics:
        utterances = [int(n) for row in rows for n in members[row]]
        own = torch.repeat_interleave(torch.tensor([len(members[row]) for row in rows]))
        return sums_of(utterances).grouped(torch.nn.functional.one_hot(own, len(rows)).T)

    for table in embedding.tables:
        assert isinstance(table, ViewTable)
        _measure_means(embedding, table, of_speakers, len(speakers))
        blocks = [embedding.deviations(of_speakers(rows), table) for rows in _in_blocks(len(speakers))]
        deviation_GKC = torch.cat(blocks)
        _measure_entries(table, deviation_GKC, accent_G)
    _measure_directions(embedding, of_speakers, len(speakers), sums_of, len(speaker_N))
    fused = [embedding.projected(of_speakers(rows)).sum(1) for rows in _in_blocks(len(speakers))]
    return torch.cat(fused), accent_G


def _in_blocks(count: int) -> list[range]:
    return [range(at, min(at + ROWS_AT_A_TIME, count)) for at in range(0, count, ROWS_AT_A_TIME)]


def _measure_means(
    embedding: PhoneticEmbedding,
    table: ViewTable,
    of_speakers: Callable[[Sequence[int]], PhoneStatistics],
    count: int,
) -> None:
    """Set a view's means: of speakers, not of frames; a speaker who said little of a cell weighs less in it."""
    total_KC, weight_K = torch.zeros_like(table.mean_KC), torch.zeros(len(table.mean_KC))
    for rows in _in_blocks(count):
        sums = of_speakers(rows)
        if table.view.columns:
            columns = embedding.columns_of(table.view)
            count_RK, sum_RKC = embedding.cells.sums(sums, table.view.level, columns)
            mean_RKC = sum_RKC / count_RK.clamp(min=1e-6).unsqueeze(-1)
        else:
            count_RK, length_RK = embedding.cells.log_lengths(sums)
            mean_RKC = length_RK.unsqueeze(-1)
        share_RK = count_RK / (count_RK + PRIOR_FRAMES)
        total_KC += torch.einsum("rk,rkc->kc", share_RK, mean_RKC)
        weight_K += share_RK.sum(0)
    table.mean_KC.copy_(total_KC / weight_K.clamp(min=1e-6).unsqueeze(-1))


def _measure_entries(table: ViewTable, deviation_GKC: Tensor, accent_G: Tensor) -> None:
    """Set the centre and spread of a view's entries over speakers, and their weights by the spread between accents."""
    table.centre_KC.copy_(deviation_GKC.mean(0))
    table.scale_KC.copy_(deviation_GKC.std(0, correction=0).clamp(min=LEAST_SPREAD))
    table.weight_KC.fill_(1.0)
    entry_GX = table.entries(deviation_GKC)
    accents = accent_G.unique()
    means_AX = torch.stack([entry_GX[accent_G == accent].mean(0) for accent in accents])
    within = [entry_GX[accent_G == accent].var(0) for accent in accents if (accent_G == accent).sum() > 1]
    if within:
        ratio_X = means_AX.var(0, correction=0) / torch.stack(within).mean(0).clamp(min=1e-4)
        entry_GX = entry_GX * ratio_X**BETWEEN_POWER
        table.weight_KC.copy_((ratio_X**BETWEEN_POWER).view_as(table.weight_KC))
    # Every view has the same weight before fusion, however many entries it has.
    table.weight_KC.div_(entry_GX.square().sum(1).mean().sqrt().clamp(min=1e-6))


def _measure_directions(
    embedding: PhoneticEmbedding,
    of_speakers: Callable[[Sequence[int]], PhoneStatistics],
    speakers: int,
    sums_of: Callable[[Sequence[int]], PhoneStatistics],
    utterances: int,
) -> None:
    """Set the principal directions of speakers and utterances together."""
    share_V = torch.tensor([view.weight for view in embedding.views])
    share_V = (share_V / share_V.sum()).sqrt()

    def entries(sums: PhoneStatistics) -> Tensor:
        parts = []
        for table, share in zip(embedding.tables, share_V, strict=True):
            assert isinstance(table, ViewTable)
            parts.append(share * table.entries(embedding.deviations(sums, table)))
        return torch.cat(parts, dim=1)

    entry_RX = torch.cat(
        [
            *(entries(of_speakers(rows)) for rows in _in_blocks(speakers)),
            *(entries(sums_of(rows)) for rows in _in_blocks(utterances)),
        ]
    )
    variance_R, vector_RR = torch.linalg.eigh((entry_RX @ entry_RX.T).double())
    wanted = min(embedding.directions_XQ.shape[1], int((variance_R > variance_R[-1] * 1e-6).sum()))
    vector_RQ = vector_RR[:, -wanted:].flip(1) / variance_R[-wanted:].flip(0).sqrt()
    # A direction's sign is arbitrary; fixed, so that all machines agree.
    vector_RQ = vector_RQ * vector_RQ[vector_RQ.abs().argmax(0), torch.arange(wanted)].sign()
    direction_XQ = entry_RX.T @ vector_RQ.to(entry_RX.dtype)
    length = (entry_RX @ direction_XQ).square().sum(1).mean().sqrt()
    # The share of a view is part of its rows here: fusion adds only what training changes of it.
    share_X = torch.repeat_interleave(share_V, torch.tensor(embedding.sizes))
    scaled_XQ = direction_XQ * share_X.unsqueeze(1) * (DIRECTION_SCALE / length.clamp(min=1e-6))
    embedding.set_directions(scaled_XQ)
