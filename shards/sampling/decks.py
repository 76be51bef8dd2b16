"""The samples that training draws from, as decks; and how many of them a batch holds.

A deck is a set of items drawn again and again: the accents, the speakers of an accent, the utterances of a speaker.
`shards.sampling.sampler` deals them.

Cost: O(N log N), once.

Shape legend: N samples, A accents, B rows of the global batch.
"""

from dataclasses import dataclass, field

import numpy as np

from shards.sampling.shared_prompts import SharedPrompts


@dataclass(frozen=True)
class BatchShape:
    """Rows of the global batch, over all processes."""

    accents: int
    """P, accents a step."""
    speakers: int
    """S, speakers an accent."""
    utterances: int
    """K, utterances a speaker."""

    @property
    def rows(self) -> int:
        """B, rows of the global batch."""
        return self.accents * self.speakers * self.utterances


@dataclass(frozen=True, eq=False)
class Decks:
    """The samples to train on, by accent and by speaker."""

    accents_A: np.ndarray
    """Accent numbers, ascending."""
    speakers: dict[int, np.ndarray]
    """Accent number -> its speaker numbers, ascending."""
    samples: dict[int, np.ndarray]
    """Speaker number -> its sample numbers, ascending."""
    shared: SharedPrompts | None = None
    """The prompts that the speakers of one accent visit read together; nothing: each reads its own deck."""
    newest: dict[tuple[int, ...], dict[int, np.ndarray]] = field(default_factory=dict, repr=False)
    """Which deck, drawn from how -> its newest super-decks, by number."""


def build_decks(
    numbers_N: np.ndarray, accent_N: np.ndarray, speaker_N: np.ndarray, shared: SharedPrompts | None = None
) -> Decks:
    """Sort samples into decks; O(N log N), once.

    Args:
        numbers_N: integers [N], the sample numbers to draw from, each once.
        accent_N: integers [N], the accent number of each.
        speaker_N: integers [N], the speaker number of each; a speaker has one accent.
        shared: the shared prompts of these samples, if the speakers of one accent visit are to read the same.

    Returns:
        The decks.

    Raises:
        ValueError: no samples, a sample twice, or a speaker of two accents.
    """
    numbers_N = np.asarray(numbers_N, np.int64)
    if len(numbers_N) == 0:
        raise ValueError("decks need at least one sample")
    if len(np.unique(numbers_N)) != len(numbers_N):
        raise ValueError("a sample number is given twice")
    pairs_S2 = np.unique(np.stack([accent_N, speaker_N], axis=1).astype(np.int64), axis=0)
    speakers_S = np.unique(speaker_N)
    if len(pairs_S2) != len(speakers_S):
        raise ValueError("a speaker has two accents")
    by_speaker = np.lexsort((numbers_N, speaker_N))
    starts_S = np.searchsorted(np.asarray(speaker_N)[by_speaker], speakers_S)
    samples = np.split(numbers_N[by_speaker], starts_S[1:])
    accents_A = np.unique(pairs_S2[:, 0])
    return Decks(
        accents_A=accents_A,
        speakers={int(accent): pairs_S2[pairs_S2[:, 0] == accent, 1] for accent in accents_A},
        samples={int(speaker): drawn for speaker, drawn in zip(speakers_S, samples, strict=True)},
        shared=shared,
    )


def padding_of_crops(decks: Decks, frames_N: np.ndarray, crop_frames: int) -> float:
    """Return the share of padding in training batches: all accents, and all speakers of an accent, weigh the same.

    So do all utterances of a speaker, which with shared prompts makes it an estimate.

    Args:
        decks: what is drawn from.
        frames_N: integers, the length of each sample in frames, by sample number.
        crop_frames: length of a crop.

    Returns:
        1 - real frames / frames of the batches, over a whole pass through all decks.
    """
    filled = [
        np.mean([np.minimum(frames_N[decks.samples[int(speaker)]], crop_frames).mean() for speaker in speakers_S])
        for speakers_S in decks.speakers.values()
    ]
    return float(1 - np.mean(filled) / crop_frames)
