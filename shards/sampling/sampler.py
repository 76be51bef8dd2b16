"""Which samples, and which of their frames, a process reads at a step: a pure function of (seed, step, decks, shape).

Items are drawn from decks (`shards.sampling.decks`).  The n-th pass through a deck is a permutation keyed by
(seed, deck, n), so no item comes twice before all have come once.  A step is one visit to the deck of accents, which
draws P of them; each accent drawn is one visit to its deck of speakers, which draws S; each speaker drawn is one visit
to its deck of utterances, which draws K.

No state is needed, because a pass holds each item exactly once: an item drawn in the n-th pass of its deck is visited
for the n-th time.  So the number of each visit, level by level, follows from the step by division.

A visit may straddle two passes, and an item that ends the first must not also begin the second.  Passes are therefore
made in groups, super-decks, of lcm(size, draws) items, which begin and end where a visit does.  Within a super-deck
each pass is rearranged in view of the one before, so that the items which the straddling visit already holds come
later.  Where a visit draws more than the deck holds, repeats cannot be avoided; it then holds each item at least once.

Positives that read the same prompt are arranged by one deck more: the prompts that at least two speakers of an accent
read (`shards.sampling.shared_prompts`).  Each accent drawn is one visit to that deck, which draws M prompts, K or as
many as it holds, and all S speakers read them.  Promised then:

- Accents, speakers and the prompts of an accent: none comes twice before all have come once.
- A speaker who lacks a drawn prompt reads, in that row, what its own deck of utterances deals at this visit anyway.
  Within a pass of that deck no utterance fills in twice, and a visit holds K different utterances where the ordinary
  order would.
- A speaker who read a prompt several times takes these readings in turn, each time the prompt is drawn.  Where S is
  the number of the accent's speakers, or a multiple of it, this is strict; else turns pass in a speaker's absence, and
  the readings come equally often in the long run only.

Not promised: that a speaker's utterances come equally often (one that is shared comes when its speaker and its prompt
meet; one of a prompt that nobody else in the accent reads only fills in), nor that two speakers drawn together have
both read what was drawn.  An accent with fewer than S speakers has some of them read the same prompts twice in a batch.

Cost: one look-up a speaker at any step; a new super-deck sorts at most `draws` x `size` random words (0.1 ms for 1,000
utterances); at most 8 x `draws` bytes a sample in memory.

Shape legend: N samples, A accents, B rows = P accents x S speakers x K utterances, of which a process reads its share;
M <= K prompts that an accent is dealt.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import lcm
from typing import NamedTuple

import numpy as np

from accent.keyed_random import permutation, random_words
from shards.sampling.decks import BatchShape, Decks
from shards.sampling.shared_prompts import Readings, SharedPrompts

NO_SAMPLE = -1
"""Sample number of an invalid row: one that only makes the batches of all ranks equally large."""


class Purpose(IntEnum):
    """What a random number is for: part of its key."""

    ACCENTS = 0
    SPEAKERS = 1
    UTTERANCES = 2
    CROPS = 3
    PROMPTS = 4


class Rows(NamedTuple):
    """What one process reads at one step."""

    numbers_B: np.ndarray
    """int64: sample numbers, -1 for an invalid row."""
    starts_B: np.ndarray
    """int64: first frame of each."""
    counts_B: np.ndarray
    """int64: frames of each."""


@dataclass(frozen=True, eq=False)
class TrainingSampler:
    """Step -> rows.  It holds no loader, so that the prefetcher, which calls it, keeps none alive."""

    frames_N: np.ndarray
    """Length of each sample of the shard set."""
    decks: Decks
    shape: BatchShape
    crop_frames: int
    seed: int
    rank: int
    world_size: int

    def __call__(self, step: int) -> Rows:
        """Return what this process reads at a step, without reading it."""
        numbers = training_rows(step, self.decks, self.shape, self.seed)
        lengths = self.frames_N[numbers].astype(np.int64)
        # Crops are keyed by the row of the global batch, so that they do not depend on the number of processes.
        starts = crop_starts(step, lengths, self.crop_frames, self.seed)
        columns = (numbers, starts, np.minimum(lengths, self.crop_frames))
        return Rows(*(rank_share(column, self.rank, self.world_size) for column in columns))


def rank_share(rows_B: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """Return one process's contiguous share of the global batch.

    Args:
        rows_B: the rows of the global batch, whatever they hold.
        rank: which process.
        world_size: how many processes; it must divide B.

    Returns:
        B / world_size rows.

    Raises:
        ValueError: the rows cannot be shared equally.
    """
    share, rest = divmod(len(rows_B), world_size)
    if rest:
        raise ValueError(f"{len(rows_B)} rows cannot be shared equally by {world_size} processes")
    return rows_B[rank * share : (rank + 1) * share]


def crop_starts(step: int, frames_B: np.ndarray, crop_frames: int, seed: int) -> np.ndarray:
    """Return where the crop of each row of the global batch begins, keyed by (seed, step, row).

    Args:
        step: which batch.
        frames_B: integers [B], the length of each row's utterance in frames.
        crop_frames: length of a crop; a shorter utterance is taken whole.
        seed: another seed, other crops.

    Returns:
        int64 [B], each in 0 ... max(0, frames - crop_frames), all equally likely.
    """
    choices_B = np.maximum(np.asarray(frames_B, np.int64) - crop_frames, 0) + 1
    words_B = random_words(len(choices_B), seed, Purpose.CROPS, step, 0)
    return (words_B % choices_B.astype(np.uint64)).astype(np.int64)


def training_rows(step: int, decks: Decks, shape: BatchShape, seed: int) -> np.ndarray:
    """Return the sample numbers of the global batch at a step.

    P accents come, all different; of each S speakers, all different where the accent has so many; of each K utterances,
    all different where the speaker has so many.  (An accent whose speakers are fewer than S and do not divide S may
    bring an utterance twice in a batch before the speaker's others are used up in it; never twice in a pass.)  With
    shared prompts, row k of all speakers of an accent holds the same prompt, wherever the speaker read it.

    Args:
        step: which batch, from 0.
        decks: the samples to draw from.
        shape: P, S and K; P may not exceed the number of accents.
        seed: another seed, another order.

    Returns:
        int64 [B], accent by accent, and speaker by speaker within an accent.

    Raises:
        ValueError: P exceeds the number of accents.
    """
    if shape.accents > len(decks.accents_A):
        raise ValueError(f"{shape.accents} different accents cannot be drawn from {len(decks.accents_A)}")
    rows = []
    for accent_place, accent_visit in _draw(decks, seed, Purpose.ACCENTS, 0, len(decks.accents_A), shape.accents, step):
        accent = int(decks.accents_A[accent_place])
        speakers_S = decks.speakers[accent]
        # An accent with S / 2 speakers meets each twice a step: then 2 K utterances must not repeat, not just K.
        times = shape.speakers // len(speakers_S) if shape.speakers % len(speakers_S) == 0 else 1
        drawn = _draw(decks, seed, Purpose.SPEAKERS, accent, len(speakers_S), shape.speakers, accent_visit)
        if decks.shared is not None:
            prompts_M, visits_M = _draw_prompts(decks, decks.shared, seed, accent, shape.utterances, accent_visit)
            # A speaker who comes several times at this visit takes another of its readings each time, if it has one.
            turns = -(-shape.speakers // len(speakers_S))
        for speaker_place, speaker_visit in drawn:
            speaker = int(speakers_S[speaker_place])
            samples_N = decks.samples[speaker]
            first = speaker_visit * shape.utterances
            places = _sequence(
                decks, seed, Purpose.UTTERANCES, speaker, len(samples_N), shape.utterances * times, first
            )
            drawn_K = samples_N[places[: shape.utterances]]
            if decks.shared is not None:
                turns_M = visits_M * turns + speaker_visit % turns
                drawn_K = read_prompts(decks.shared.readings[speaker], prompts_M, turns_M, drawn_K)
            rows.append(drawn_K)
    return np.concatenate(rows).astype(np.int64)


def _draw_prompts(
    decks: Decks, shared: SharedPrompts, seed: int, accent: int, utterances: int, visit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the prompts [M] that a visit to an accent asks for, and how often each was asked for before."""
    prompts = shared.prompts[accent]
    draws = min(utterances, len(prompts))
    drawn_M2 = np.array(_draw(decks, seed, Purpose.PROMPTS, accent, len(prompts), draws, visit))
    return prompts[drawn_M2[:, 0]], drawn_M2[:, 1]


def read_prompts(theirs: Readings, prompts_M: np.ndarray, turns_M: np.ndarray, drawn_K: np.ndarray) -> np.ndarray:
    """Return what a speaker reads where some prompts are drawn.

    Row k holds the k-th prompt, so that the rows of all speakers stand beside each other.  Of several readings of
    a prompt, the turn chooses one.  A row whose prompt the speaker lacks, and each row past the last prompt, holds
    the next of the utterances that the speaker's own deck has dealt: first those that the other rows do not hold.

    Args:
        theirs: everything the speaker read.
        prompts_M: which prompts, all different; M <= K.
        turns_M: how often each was drawn before.
        drawn_K: samples that the speaker's own deck has dealt.

    Returns:
        int64 [K], sample numbers of this speaker.  All differ if those of `drawn_K` do.
    """
    first_M = np.searchsorted(theirs.prompts_N, prompts_M, side="left")
    times_M = np.searchsorted(theirs.prompts_N, prompts_M, side="right") - first_M
    known = np.flatnonzero(times_M)
    chosen = theirs.samples_N[first_M[known] + turns_M[known] % times_M[known]]
    held_K = np.isin(drawn_K, chosen)
    others = np.concatenate([drawn_K[~held_K], drawn_K[held_K]])
    rows_K = np.empty_like(drawn_K)
    rows_K[known] = chosen
    rows_K[np.delete(np.arange(len(rows_K)), known)] = others[: len(rows_K) - len(known)]
    return rows_K


def _draw(decks: Decks, seed: int, level: int, deck: int, size: int, draws: int, visit: int) -> list[tuple[int, int]]:
    """Return (place in the deck, how often that item was visited before) for each item a visit draws."""
    first = visit * draws
    places = _sequence(decks, seed, level, deck, size, draws, first)[:draws].tolist()
    return [(place, (first + index) // size) for index, place in enumerate(places)]


def _sequence(decks: Decks, seed: int, level: int, deck: int, size: int, draws: int, first: int) -> np.ndarray:
    """Return the places in the deck from draw number `first` to the end of its super-deck."""
    number, within = divmod(first, lcm(size, draws))
    key = (seed, level, deck, draws)
    known = decks.newest.get(key, {})
    if number not in known:
        places = _super_deck(seed, level, deck, size, draws, number).astype(np.int32)
        # Two, for a thread that reads ahead may be in the next while another is still in this one.  A new dictionary,
        # so that no thread sees one that is being changed.
        known = dict([*known.items(), (number, places)][-2:])
        decks.newest[key] = known
    return known[number][within:]


def _super_deck(seed: int, level: int, deck: int, size: int, draws: int, number: int) -> np.ndarray:
    """Return the `number`-th super-deck: lcm(size, draws) places, pass after pass."""
    passes_per_super_deck = lcm(size, draws) // size
    passes: list[np.ndarray] = []
    for index in range(passes_per_super_deck):
        order = permutation(size, seed, level, deck, number * passes_per_super_deck + index)
        held = index * size % draws
        # A visit that already holds the whole deck has nothing left to prefer.
        if 0 < held < size:
            order = _postpone(order, passes[-1][size - held :], draws - held)
        passes.append(order)
    return np.concatenate(passes)


def _postpone(order: np.ndarray, held: np.ndarray, head: int) -> np.ndarray:
    """Rearrange a pass so that its first `head` items are not held already, as far as there are others.

    The rest keeps its order.
    """
    free = np.flatnonzero(~np.isin(order, held))[:head]
    return np.concatenate([order[free], np.delete(order, free)])
