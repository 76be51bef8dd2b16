"""The samples that training draws from, as decks; and how many of them a batch holds.

A deck is a set of items drawn again and again: the accents, the speakers of an accent, the utterances of a speaker.
`shards.sampling.sampler` deals them.

Cost: O(N), once: 0.1 us and 4 bytes a sample, and a view for each speaker.

Shape legend: N samples, A accents, S speakers of all accents, B rows of the global batch.
"""

from dataclasses import dataclass, field

import numpy as np

from accent.grouped import Grouped
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
    """Speaker number -> its sample numbers, ascending: a view of one array."""
    shared: SharedPrompts | None = None
    """The prompts that the speakers of one accent visit read together; nothing: each reads its own deck."""
    newest: dict[tuple[int, ...], dict[int, np.ndarray]] = field(default_factory=dict, repr=False)
    """Which deck, drawn from how -> its newest super-decks, by number."""


def build_decks(
    numbers_N: np.ndarray, accent_N: np.ndarray, speaker_N: np.ndarray, shared: SharedPrompts | None = None
) -> Decks:
    """Sort samples into decks; O(N), once.

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
    numbers_N, accent_N, speaker_N = (np.asarray(column) for column in (numbers_N, accent_N, speaker_N))
    if len(numbers_N) == 0:
        raise ValueError("decks need at least one sample")
    ascending = bool((numbers_N[1:] > numbers_N[:-1]).all())
    if not ascending:
        order_N = np.argsort(numbers_N)
        numbers_N, accent_N, speaker_N = numbers_N[order_N], accent_N[order_N], speaker_N[order_N]
        if (numbers_N[1:] == numbers_N[:-1]).any():
            raise ValueError("a sample number is given twice")
    samples = Grouped(speaker_N, numbers_N)
    # What was written last stays: another accent of the speaker shows where it differs.
    accent_of = np.zeros(int(samples.keys_G[-1]) + 1, np.int64)
    accent_of[speaker_N] = accent_N
    if (accent_of[speaker_N] != accent_N).any():
        raise ValueError("a speaker has two accents")
    speakers = Grouped(accent_of[samples.keys_G], samples.keys_G)
    return Decks(accents_A=speakers.keys_G, speakers=dict(speakers), samples=dict(samples), shared=shared)


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
    lengths_N = np.minimum(frames_N[np.concatenate(list(decks.samples.values()))], crop_frames)
    counts_S = np.fromiter(map(len, decks.samples.values()), np.int64)
    mean_S = np.add.reduceat(lengths_N, np.append(0, np.cumsum(counts_S)[:-1]), dtype=np.int64) / counts_S
    known_S = np.fromiter(decks.samples, np.int64)
    filled = [mean_S[np.searchsorted(known_S, mine)].mean() for mine in decks.speakers.values()]
    return float(1 - np.mean(filled) / crop_frames)
