"""Which sample, when: the global batch at step t as a pure function of (seed, t, decks, batch shape).

A deck is a set of items drawn again and again: the accents, the speakers of an accent, the utterances of a speaker.
Its n-th pass is a permutation keyed by (seed, deck, n), so nothing comes twice before everything has come once.  A
step is one visit to the deck of accents, which draws P of them; each accent drawn is one visit to its deck of speakers,
which draws S; each speaker drawn is one visit to its deck of utterances, which draws K.

No state is needed, because a pass holds every item exactly once: an item drawn in the n-th pass of its deck is being
visited for the n-th time.  So the number of each visit, one level down after the other, follows from t by division.

A visit may straddle two passes, and an item that ends the first must not also begin the second.  Passes are therefore
made in groups, super-decks, of lcm(size, draws) items, which begin and end where a visit does.  Within a super-deck
each pass is rearranged in view of the one before, so that the items which the straddling visit already holds come
later.  Where a visit draws more than the deck holds, repeats cannot be avoided; it then holds every item at least once.

Cost: a super-deck has at most `draws` passes; making one sorts that many times `size` random words (0.1 ms for 1,000
utterances).  The decks keep the newest super-deck or two of each: at most 16 x `draws` bytes a sample, however long the
run.  A step costs one look-up a speaker, the same at step 0 and at step 1,000,000.  The random words are Philox's raw
output and not numpy's `permutation`, whose results may change between versions of numpy.

Positives that read the same prompt are arranged by one deck more: the prompts that at least two speakers of an accent
read (`shards.sampling.shared_prompts`).  Each accent drawn is one visit to that deck, which draws M prompts, K or as
many as it holds, and all S speakers read them.  Promised then:

- Accents, speakers and the prompts of an accent: nothing comes twice before everything has come once.
- A speaker who lacks a drawn prompt reads, in that row, what its own deck of utterances deals at this visit anyway.
  Within a pass of that deck no utterance fills in twice, and a visit holds K different utterances where the ordinary
  order would.
- A speaker who read a prompt several times takes these readings in turn, each time the prompt is drawn.  Where S is
  the number of the accent's speakers, or a multiple of it, this is strict; else turns pass in a speaker's absence, and
  the readings come equally often in the long run only.

Not promised: that a speaker's utterances come equally often.  One that is shared comes when its speaker and its prompt
meet, by chance unless every speaker comes at every visit; one of a prompt that nobody else in the accent reads comes
only to fill in, and never if its speaker reads all shared prompts and there are at least K of them.  Nor that two
speakers drawn together have both read what was drawn.  An accent with fewer than S speakers has some of them read the
same prompts twice in a batch.

Shape legend: N samples, A accents, B rows of the global batch = P accents x S speakers x K utterances.
"""

from dataclasses import dataclass, field
from math import lcm

import numpy as np

from shards.sampling.shared_prompts import SharedPrompts

NO_SAMPLE = -1
"""Sample number of an invalid row: a row that only makes every rank's batch the same size."""
_ACCENTS, _SPEAKERS, _UTTERANCES, _CROPS, _PROMPTS = range(5)
"""What a random number is for: part of its key."""


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
    shared prompts, row k of every speaker of an accent holds the same prompt, wherever the speaker read it.

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
    for accent_place, accent_visit in _draw(decks, seed, _ACCENTS, 0, len(decks.accents_A), shape.accents, step):
        accent = int(decks.accents_A[accent_place])
        speakers_S = decks.speakers[accent]
        # An accent with S / 2 speakers meets each twice a step: then 2 K utterances must not repeat, not just K.
        times = shape.speakers // len(speakers_S) if shape.speakers % len(speakers_S) == 0 else 1
        drawn = _draw(decks, seed, _SPEAKERS, accent, len(speakers_S), shape.speakers, accent_visit)
        if decks.shared is not None:
            prompts_M, visits_M = _draw_prompts(decks, decks.shared, seed, accent, shape.utterances, accent_visit)
            # A speaker who comes several times at this visit takes another of its readings each time, if it has one.
            turns = -(-shape.speakers // len(speakers_S))
        for speaker_place, speaker_visit in drawn:
            speaker = int(speakers_S[speaker_place])
            samples_N = decks.samples[speaker]
            first = speaker_visit * shape.utterances
            places = _sequence(decks, seed, _UTTERANCES, speaker, len(samples_N), shape.utterances * times, first)
            drawn_K = samples_N[places[: shape.utterances]]
            if decks.shared is not None:
                turns_M = visits_M * turns + speaker_visit % turns
                drawn_K = decks.shared.read(speaker, prompts_M, turns_M, drawn_K)
            rows.append(drawn_K)
    return np.concatenate(rows)


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
    words_B = _random_words(len(choices_B), seed, _CROPS, step, 0)
    return (words_B % choices_B.astype(np.uint64)).astype(np.int64)


def padding_of_crops(decks: Decks, frames_N: np.ndarray, crop_frames: int) -> float:
    """Return the share of padding in training batches: all accents, and all speakers of an accent, weigh the same.

    So do all utterances of a speaker, which with shared prompts makes it an estimate.

    Args:
        decks: what is drawn from.
        frames_N: integers, the length of every sample in frames, by sample number.
        crop_frames: length of a crop.

    Returns:
        1 - real frames / frames of the batches, over a whole pass through all decks.
    """
    filled = [
        np.mean([np.minimum(frames_N[decks.samples[int(speaker)]], crop_frames).mean() for speaker in speakers_S])
        for speakers_S in decks.speakers.values()
    ]
    return float(1 - np.mean(filled) / crop_frames)


def evaluation_batches(
    numbers_N: np.ndarray, frames_N: np.ndarray, frames_per_batch: int, world_size: int
) -> list[np.ndarray]:
    """Share whole utterances among processes by length: each exactly once, the same shape of plan on every rank.

    The longest come first, so that a batch too large for the memory fails at once.

    Args:
        numbers_N: integers [N], sample numbers, each once.
        frames_N: integers [N], length of each in frames.
        frames_per_batch: most frames of one rank's batch, padding counted; an utterance longer than that comes alone.
        world_size: number of processes.

    Returns:
        A list of int64 [world_size, B], one a batch: row r holds rank r's sample numbers, -1 where there is none left.
        B differs from batch to batch, not from rank to rank.

    Raises:
        ValueError: a sample is given twice.
        AssertionError: the plan is not a partition of the samples (a fault of this function).
    """
    numbers_N = np.asarray(numbers_N, np.int64)
    if len(np.unique(numbers_N)) != len(numbers_N):
        raise ValueError("a sample number is given twice")
    longest_first = np.lexsort((numbers_N, -np.asarray(frames_N, np.int64)))
    batches = []
    start = 0
    while start < len(numbers_N):
        longest = int(frames_N[longest_first[start]])
        rows = max(1, frames_per_batch // max(1, longest))
        taken = longest_first[start : start + rows * world_size]
        # The last group may be small: no more rows than it needs.
        rows = -(-len(taken) // world_size)
        batch = np.full(rows * world_size, NO_SAMPLE, np.int64)
        batch[: len(taken)] = numbers_N[taken]
        batches.append(batch.reshape(world_size, rows))
        start += len(taken)
    planned = np.concatenate([batch.ravel() for batch in batches]) if batches else numbers_N
    if not np.array_equal(np.sort(planned[planned != NO_SAMPLE]), np.sort(numbers_N)):
        raise AssertionError("the evaluation plan is not a partition of the samples")
    return batches


def _draw_prompts(
    decks: Decks, shared: SharedPrompts, seed: int, accent: int, utterances: int, visit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the prompts [M] that a visit to an accent asks for, and how often each was asked for before."""
    prompts = shared.prompts[accent]
    draws = min(utterances, len(prompts))
    drawn_M2 = np.array(_draw(decks, seed, _PROMPTS, accent, len(prompts), draws, visit))
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
        order = _permutation(size, seed, level, deck, number * passes_per_super_deck + index)
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


def _permutation(size: int, *key: int) -> np.ndarray:
    """Return 0 ... size - 1 in random order: random words with a place each in their low bits, sorted."""
    bits = np.uint64((size - 1).bit_length())
    # Sorting words is several times faster than argsort, and no two are equal, so any sorting method gives the same.
    words = (_random_words(size, *key) >> bits << bits) | np.arange(size, dtype=np.uint64)
    words.sort()
    return (words & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)


def _random_words(count: int, *key: int) -> np.ndarray:
    """Return uint64 [count] from a key of integers in 0 ... 2^64 - 1, the same on every machine."""
    # As two halves a word: a seed sequence reads 32 bits at a time, and keys of unequal length could read alike.
    halves = np.array(key, "<u8").view("<u4")
    return np.random.Philox(np.random.SeedSequence(halves)).random_raw(count)
