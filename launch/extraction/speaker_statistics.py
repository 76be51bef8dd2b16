"""From a shard set's table of speakers to what a model normalises by.

The corpus's statistics are those of the training speakers only, and become part of the model.  The voices are those of
all speakers of the shard set that is read: a test speaker is measured against their own recordings, which needs no
label.  Held-out prompts count in a voice as well.

F0 is handed over in semitones where the model measures it against a voice: its median and its deviation from that come
from the table's histogram, exact to about a tenth of a semitone.  Cost: milliseconds.

Shapes: S speakers, D columns, H bins of the histogram.
"""

import numpy as np
import torch

from accent.features.schema import column_index
from accent.model.build import AccentEncoder
from accent.model.normalisation import VoiceStatistics
from shards.loading.protocol import TrainingBatches
from shards.shard_set.manifest import ShardSet
from shards.shard_set.statistics import F0_BINS, F0_BINS_PER_SEMITONE, F0_LOWEST_HZ

_F0 = column_index("f0_hz")


def set_normalisation(model: AccentEncoder, train_loader: TrainingBatches) -> None:
    """Give a model the statistics of the training speakers, in the units of its `config.normalisation`.

    Args:
        model: its normalisation is replaced.
        train_loader: whose speakers train.
    """
    statistics = train_loader.statistics
    mean_D, std_D = statistics.mean_D.copy(), statistics.std_D.copy()
    if model.config.normalisation != "corpus":
        shard_set = train_loader.shard_set
        voices = speaker_voices(shard_set)
        rows = shard_set.speaker_positions(train_loader.speakers)
        count_S, spread_S = (part[rows, _F0].numpy().astype(np.float64) for part in (voices.count_SD, voices.spread_SD))
        mean_D[_F0] = 12 * np.log2(statistics.f0_median_hz)
        std_D[_F0] = np.sqrt((count_S * spread_S**2).sum() / max(count_S.sum(), 1.0))
    model.set_normalisation(mean_D, std_D)


def voices_for(model: AccentEncoder, shard_set: ShardSet, device: torch.device | str = "cpu") -> VoiceStatistics | None:
    """Return the voices of a shard set's speakers, rows as `Batch.speaker_B` counts, if the model reads them.

    Args:
        model: whose `config.normalisation` decides.
        shard_set: what the batches are read from.
        device: where to put the table.

    Returns:
        The table; nothing unless values are measured against their speaker.
    """
    return speaker_voices(shard_set).to(device) if model.config.normalisation == "speaker" else None


def speaker_voices(shard_set: ShardSet) -> VoiceStatistics:
    """Return what is known of every speaker's voice, float32, rows in the order of the shard set's speakers."""
    table = shard_set.speaker_statistics
    count_SD, centre_SD = table.count_SD.copy(), table.mean_SD.copy()
    spread_SD = np.sqrt(table.m2_SD / np.maximum(count_SD, 1.0))

    bins_H = 12 * np.log2(F0_LOWEST_HZ) + (np.arange(F0_BINS) + 0.5) / F0_BINS_PER_SEMITONE
    voiced_S = table.f0_SH.sum(axis=1)
    median_S = np.where(voiced_S > 0, 12 * np.log2(table.median_f0_hz()), 0.0)
    squares_S = (table.f0_SH * (bins_H - median_S[:, None]) ** 2).sum(axis=1)
    count_SD[:, _F0], centre_SD[:, _F0] = voiced_S, median_S
    spread_SD[:, _F0] = np.sqrt(squares_S / np.maximum(voiced_S, 1))
    return VoiceStatistics(*(torch.from_numpy(part).float() for part in (count_SD, centre_SD, spread_SD)))
