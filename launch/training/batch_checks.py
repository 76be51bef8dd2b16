"""Can the losses find what they need in the batches?  Said before hours are spent.

Cost: one pass over the index.
"""

import numpy as np

from accent.errors import AccentError
from accent.losses.config import LossConfig
from shards.loading.protocol import TrainingBatches


def check_batches(train_loader: TrainingBatches, losses: LossConfig) -> list[str]:
    """Look for anchors that can have no positive, and for speakers with fewer utterances than a batch takes of each.

    Args:
        train_loader: the batches.
        losses: the objective.

    Returns:
        Lines to print; empty if all is well.

    Raises:
        AccentError: no anchor of any batch can have a positive, and no other loss than those of pairs is on.
    """
    lines = []
    index = train_loader.shard_set.index
    is_training_N = np.isin(index["speaker"], train_loader.shard_set.speaker_positions(train_loader.speakers))
    pairs_SA = np.unique(np.stack([index["speaker"], index["accent"]])[:, is_training_N], axis=1)
    _, speakers_A = np.unique(pairs_SA[1], return_counts=True)
    accents = [train_loader.shard_set.accents[accent] for accent in np.unique(pairs_SA[1])]

    if losses.contrastive or losses.triplet:
        shape = train_loader.config
        if losses.positives == "other_speaker":
            alone = [a for a, n in zip(accents, speakers_A, strict=True) if min(n, shape.speakers_per_accent) < 2]
            cure = "batch.speakers_per_accent=2 with two training speakers an accent, or losses.positives=any"
        else:
            alone = accents if shape.speakers_per_accent * shape.utterances_per_speaker < 2 else []
            cure = "batch.utterances_per_speaker=2"
        if len(alone) == len(accents):
            what = (
                "no utterance of a batch has a positive, so the contrastive and triplet losses are 0 at every step: "
                f"they need {cure}"
            )
            if not (losses.cross_entropy or losses.reconstruction):
                raise AccentError(f"{what}; nothing else would train the encoder")
            lines.append(f"warning: {what}")
        elif alone:
            lines.append(
                f"warning: utterances of {', '.join(alone)} have no positives, for each has one training speaker; "
                "contrastive and triplet losses leave them out"
            )

    asked = train_loader.config.utterances_per_speaker
    _, utterances_S = np.unique(index["speaker"][is_training_N], return_counts=True)
    short = int((utterances_S < asked).sum())
    if short:
        lines.append(
            f"warning: batch.utterances_per_speaker is {asked}, but {short} of {len(utterances_S)} training speakers "
            f"have fewer utterances (the fewest: {utterances_S.min()}); theirs repeat within a batch"
        )
    return lines
