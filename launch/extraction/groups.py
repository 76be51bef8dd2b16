"""Utterances embedded one by one and in groups of one speaker, from one pass over them.

The encoder of the branch `phones` embeds a group exactly: it adds up the sums of its utterances, which are computed
once for both and kept.  The encoder of the branch `frames` embeds one utterance at a time: a group's embedding is the
mean of its utterances' embeddings, and its logits are the mean of theirs.

Cost: a forward pass an utterance; for the branch `phones` about 30 KB of memory an utterance.

Shapes: N utterances, G groups, R groups of a block, E embedding, A accents.
"""

import sys
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import torch

from accent.metrics import EmbedGroups, GroupOutput, RowGroups, mean_of_utterances
from accent.model.build import AccentEncoder
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.statistics import PhoneStatistics
from accent.model.phonetic.store import StatisticsStore
from launch.extraction.extract import Extraction, extract, usable_device
from launch.extraction.phone_statistics import fill_store
from launch.extraction.speaker_statistics import voices_for
from launch.extraction.terminal import track_on_terminal
from shards.loading.loader import EvaluationLoader

BLOCK_ROWS = 32
"""Groups, or utterances, whose sums are in memory at a time: about 2 MB each."""


class EmbeddedSpeech(NamedTuple):
    """What a model makes of a loader's utterances."""

    utterances: Extraction
    """Each by itself."""
    embed_groups: EmbedGroups
    """Takes groups of sample numbers of these utterances; logits in the order of the model's accents."""


def embed_speech(
    model: AccentEncoder,
    loader: EvaluationLoader,
    device: torch.device | str | None = None,
    half_S: torch.Tensor | None = None,
    description: str = "embedding",
) -> EmbeddedSpeech:
    """Embed everything a loader yields, and whatever groups of it are asked for later.

    Args:
        model: the encoder; moved to the device, and left in the mode it came in.
        loader: whole utterances.
        device: where to compute; where the model is if not given.
        half_S: for the branch `phones`: half of each speaker of the shard set who trained the phone heads, from
            `launch.training.initial.trained_halves`; None where none of them did.
        description: for the progress bar.

    Returns:
        The utterances by ascending sample number, and a function of groups of them.

    Raises:
        AccentError: a GPU is asked for and there is none, or a sample cannot be read.
    """
    if not isinstance(model, PhoneticEncoder):
        batches = track_on_terminal(loader, description)
        found = extract(model, batches, device, voices_for(model, loader.shard_set))
        mean = mean_of_utterances(found.embedding_NE, found.logits_NA)

        def mean_of_groups(groups: Sequence[np.ndarray]) -> GroupOutput:
            asked = RowGroups.of(groups)
            return mean(RowGroups(np.searchsorted(found.sample_N, asked.rows_n), asked.starts_G))

        return EmbeddedSpeech(found, mean_of_groups)

    if device is not None:
        model.to(usable_device(device))
    place = model.normalisation.mean_D.device
    # Nothing may be left out here: every utterance is asked for by its number.
    store = StatisticsStore(model.recogniser.inventory.n_states, most_bytes=sys.maxsize)
    fill_store(store, model, loader, None if half_S is None else half_S.to(place), description=description)

    def sum_of_groups(groups: Sequence[np.ndarray]) -> GroupOutput:
        return embed_sums(model, store, groups)

    sample_N = np.sort(loader.numbers_N)
    embedding_NE, logits_NA = sum_of_groups(RowGroups.singles(sample_N))
    index = loader.shard_set.index
    found = Extraction(
        embedding_NE,
        logits_NA,
        index["accent"][sample_N].astype(np.int64),
        index["speaker"][sample_N].astype(np.int64),
        sample_N,
    )
    return EmbeddedSpeech(found, sum_of_groups)


@torch.no_grad()
def embed_sums(encoder: PhoneticEncoder, store: StatisticsStore, groups: Sequence[np.ndarray]) -> GroupOutput:
    """Embed groups of utterances by the sum of their sums.

    Args:
        encoder: left in the mode it came in.
        store: holds every utterance of the groups.
        groups: sample numbers, each group of one speaker.

    Returns:
        float32 embeddings of unit length and logits in the order of the encoder's accents, a row each.
    """
    device = encoder.normalisation.mean_D.device
    was_training = encoder.training
    encoder.eval()
    blocks = [
        encoder.embed(_sum_block(store, groups[start : start + BLOCK_ROWS]).to(device))
        for start in range(0, len(groups), BLOCK_ROWS)
    ]
    encoder.train(was_training)
    embedding_GE = torch.cat([block.embedding_BE for block in blocks]).float().cpu().numpy()
    logits_GA = torch.cat([block.accent_logits_BA for block in blocks]).float().cpu().numpy()
    return GroupOutput(embedding_GE, logits_GA)


def _sum_block(store: StatisticsStore, groups: Sequence[np.ndarray]) -> PhoneStatistics:
    """Return the sums of a few groups, R rows; a speaker's utterances may be far more than fit into memory at once."""
    sample_N = np.unique(np.concatenate(groups))
    member_RN = torch.from_numpy(np.stack([np.isin(sample_N, rows) for rows in groups])).float()
    parts = (
        store.sums(sample_N[first : first + BLOCK_ROWS].tolist()).grouped(member_RN[:, first : first + BLOCK_ROWS])
        for first in range(0, len(sample_N), BLOCK_ROWS)
    )
    return reduce(_add, parts)


def _add(one: PhoneStatistics, other: PhoneStatistics) -> PhoneStatistics:
    return PhoneStatistics(*(mine + theirs for mine, theirs in zip(one, other, strict=True)))
