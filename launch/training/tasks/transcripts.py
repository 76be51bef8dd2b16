"""Training utterances with a transcript and no alignment: the phones that the dictionary expects of each.

A crop hides where its words are, so an utterance is used only if a crop can hold all of it.  No pronunciation is made
up: an utterance with a word that the dictionary lacks is left out, and so is one of another language than English.

Cost: reads the JSON of every such utterance, some 30 us each; the dictionary takes 0.3 s.

Shapes: L phones of a transcript.
"""

from collections import Counter
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from accent.errors import AccentError
from accent.features.phones import PHONES, has_phones
from accent.model.phonetic.inventory import Inventory
from shards.alignment.aligner import Aligner
from shards.alignment.transcript import find_words
from shards.loading.batch import Batch
from shards.loading.loader import TrainingLoader
from shards.shard_set.reader import ShardReader


class Transcript(NamedTuple):
    """What is said in an utterance."""

    phone_L: Tensor
    """int64: numbers in `PHONES`, without silence and equal neighbours."""
    frames: int
    """Length of the utterance."""


class Transcripts(NamedTuple):
    """Transcribed utterances by sample number, and what was left out."""

    by_sample: dict[int, Transcript]
    note: str
    """A line for the start of the run."""


def read_transcripts(train_loader: TrainingLoader, inventory: Inventory) -> Transcripts:
    """Read the transcripts of the training utterances that have no alignment.

    Args:
        train_loader: whose speakers train; held-out prompts are never drawn, so their transcripts are never used.
        inventory: the units that the phone heads tell.

    Raises:
        AccentError: the dictionary is not installed, or no utterance can be used.
    """
    shard_set, crop_frames = train_loader.shard_set, train_loader.crop_frames
    aligner, reader = Aligner(), ShardReader(shard_set)
    index = shard_set.index
    positions = shard_set.speaker_positions(train_loader.speakers)
    numbers = np.flatnonzero(np.isin(index["speaker"], positions) & (index["phones_offset"] < 0))
    known = {int(phone) for phone in inventory.phone_U}
    found: dict[int, Transcript] = {}
    left_out: Counter[str] = Counter()
    for number in numbers.tolist():
        frames = int(index["frames"][number])
        metadata = reader.metadata(number)
        phones = _phones(metadata.get("text"), (metadata.get("extra") or {}).get("language"), aligner)
        if isinstance(phones, str):
            left_out[phones] += 1
        elif frames > crop_frames:
            left_out[f"longer than the crops of {crop_frames} frames"] += 1
        elif len(phones) > frames or not set(phones) <= known:
            left_out["more phones than frames, or phones that no alignment has"] += 1
        else:
            found[number] = Transcript(torch.tensor(phones), frames)
    reasons = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
    if not found:
        raise AccentError(
            f"losses.ctc: none of the {len(numbers)} training utterances without an alignment can be used"
            f"{f' ({reasons})' if reasons else ''}; give losses.ctc=0, longer crops, or transcripts"
        )
    note = f"CTC: {len(found)} utterances have a transcript and no alignment"
    return Transcripts(found, note + (f"; left out: {reasons}" if reasons else ""))


def whole_rows(by_sample: dict[int, Transcript], batch: Batch) -> dict[int, Tensor]:
    """Return the labels [L] of the rows of a batch that hold whole transcribed utterances, by row."""
    width = batch.valid_BT.shape[1]
    labels = {}
    for row, (sample, frames) in enumerate(zip(batch.sample_B.tolist(), batch.valid_BT.sum(1).tolist(), strict=True)):
        one = by_sample.get(sample)
        # Speech slowed down until it fills its row may have lost its end.
        if one is not None and (frames < width or frames == one.frames) and len(one.phone_L) <= frames:
            labels[row] = one.phone_L
    return labels


def _phones(text: str | None, language: str | None, aligner: Aligner) -> list[int] | str:
    """Return the phones that a text stands for, or why it stands for none."""
    if not text:
        return "without a transcript"
    if not has_phones(language):
        return "of another language than English"
    words, unknown = find_words(text, aligner.knows)
    if unknown or not words:
        return "with words that the dictionary lacks"
    spoken = [phone for word in words for phone in aligner.pronunciation(word)]
    return [PHONES.index(phone) for phone, _ in groupby(spoken)]
