"""Sums by phone of a loader's utterances, kept in a store.

Cost: a forward pass of the phone heads and forward-backward, about 40 ms a second of speech and core.
"""

from collections.abc import Collection

import torch

from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.store import StatisticsStore
from launch.extraction.speaker_statistics import voices_for
from launch.extraction.terminal import track_on_terminal
from shards.loading.protocol import EvaluationBatches


@torch.no_grad()
def fill_store(
    store: StatisticsStore,
    encoder: PhoneticEncoder,
    loader: EvaluationBatches,
    half_S: torch.Tensor | None = None,
    wanted: Collection[int] | None = None,
    description: str = "listening",
) -> None:
    """Compute the sums of utterances that the store does not hold yet.

    Args:
        store: filled.
        encoder: on its device; left in the mode it came in.
        loader: whole utterances.
        half_S: half of each speaker of the shard set, see `PhoneRecogniser.posteriors`.
        wanted: sample numbers to keep; None keeps all.
        description: for the progress bar.
    """
    device = encoder.normalisation.mean_D.device
    voices = voices_for(encoder, loader.shard_set, device)
    was_training = encoder.training
    encoder.eval()
    for batch in track_on_terminal(loader, description):
        rows = [
            row
            for row, sample in enumerate(batch.sample_B.tolist())
            if sample >= 0 and sample not in store and (wanted is None or sample in wanted)
        ]
        if not rows:
            continue
        batch = batch.to(device)
        speaker_B = batch.speaker_B[rows]
        sums = encoder.statistics(
            batch.frames_BTD[rows],
            batch.valid_BT[rows],
            None if voices is None else voices.rows(speaker_B),
            None if half_S is None else half_S[speaker_B],
        )
        store.keep(batch.sample_B[rows].tolist(), sums)
    encoder.train(was_training)
