"""Which sample, when: the global batch at step t as a pure function of (seed, t, decks, batch shape).

A deck is a set of items drawn again and again: the accents, the speakers of an accent, the utterances of a speaker.
Its n-th pass is a permutation keyed by (seed, deck, n), so no item comes twice before all have come once.  A step is
one visit to the deck of accents, which draws P of them; each accent drawn is one visit to its deck of speakers, which
draws S; each speaker drawn is one visit to its deck of utterances, which draws K.

No state is needed, because a pass holds each item exactly once: an item drawn in the n-th pass of its deck is visited
for the n-th time.  So the number of each visit, one level down after the other, follows from t by division.

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
utterances); at most 16 x `draws` bytes a sample in memory.

Shape legend: N samples, A accents, B rows of the global batch = P accents x S speakers x K utterances.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from math import lcm

import numpy as np

from accent.keyed_random import permutation
from shards.sampling.shared_prompts import SharedPrompts


class Purpose(IntEnum):
    """What a random number is for: part of its key."""

    ACCENTS = 0
    SPEAKERS = 1
    UTTERANCES = 2
    CROPS = 3
    PROMPTS = 4


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
                drawn_K = decks.shared.read(speaker, prompts_M, turns_M, drawn_K)
            rows.append(drawn_K)
    return np.concatenate(rows)


def _draw_prompts(
    decks: Decks, shared: SharedPrompts, seed: int, accent: int, utterances: int, visit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the prompts [M] that a visit to an accent asks for, and how often each was asked for before."""
    prompts = shared.prompts[accent]
    draws = min(utterances, len(prompts))
    drawn_M2 = np.array(_draw(decks, seed, Purpose.PROMPTS, accent, len(prompts), draws, visit))
    return prompts[drawn_M2[:, 0]], drawn_M2[:, 1]


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
        places = _super_deck(seed, level, deck, size, draws, number)
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
