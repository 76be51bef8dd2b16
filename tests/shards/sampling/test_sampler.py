import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.sampling.by_length import evaluation_batches
from shards.sampling.decks import BatchShape, Decks, build_decks, padding_of_crops
from shards.sampling.sampler import NO_SAMPLE, crop_starts, rank_share, training_rows

# For every accent, how many utterances each of its speakers has: as unbalanced as they come.
CORPORA = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=5), min_size=1, max_size=5)
SEEDS = st.integers(0, 2**64 - 1)


def corpus(plan: list[list[int]]) -> tuple[Decks, np.ndarray, np.ndarray]:
    """Number accents and speakers with gaps and mix the samples, as after a split of a shuffled shard set."""
    rows = [
        (3 + 2 * accent, 10 * accent + speaker)
        for accent, speakers in enumerate(plan)
        for speaker, count in enumerate(speakers)
        for _ in range(count)
    ]
    labels_N2 = np.random.default_rng(len(rows)).permutation(np.array(rows))
    accent_N, speaker_N = labels_N2.T
    return build_decks(np.arange(len(rows)), accent_N, speaker_N), accent_N, speaker_N


@st.composite
def corpora_with_shapes(draw: st.DrawFn) -> tuple[list[list[int]], BatchShape]:
    plan = draw(CORPORA)
    return plan, BatchShape(draw(st.integers(1, len(plan))), draw(st.integers(1, 5)), draw(st.integers(1, 6)))


def blocks_are_permutations(drawn: list[int], deck: list[int]) -> bool:
    """The definition: cut what was drawn into blocks as long as the deck; each holds every item once."""
    blocks = [drawn[start : start + len(deck)] for start in range(0, len(drawn), len(deck))]
    whole = all(sorted(block) == sorted(deck) for block in blocks if len(block) == len(deck))
    return whole and len(set(blocks[-1])) == len(blocks[-1])


@given(corpora_with_shapes(), SEEDS)
@settings(max_examples=150, deadline=None)
def test_nothing_repeats_before_its_deck_is_used_up(given_corpus, seed) -> None:
    plan, shape = given_corpus
    decks, accent_N, speaker_N = corpus(plan)
    accents: list[int] = []
    speakers, utterances = defaultdict(list), defaultdict(list)
    for step in range(25):
        rows_PSK = training_rows(step, decks, shape, seed).reshape(shape.accents, shape.speakers, shape.utterances)
        for rows_SK in rows_PSK:
            accent = int(accent_N[rows_SK[0, 0]])
            accents.append(accent)
            for rows_K in rows_SK:
                speaker = int(speaker_N[rows_K[0]])
                assert set(accent_N[rows_K]) == {accent} and set(speaker_N[rows_K]) == {speaker}
                speakers[accent].append(speaker)
                utterances[speaker].extend(rows_K.tolist())
    assert blocks_are_permutations(accents, sorted(set(accent_N.tolist())))
    for accent, drawn in speakers.items():
        assert blocks_are_permutations(drawn, sorted(set(speaker_N[accent_N == accent].tolist())))
    for speaker, drawn in utterances.items():
        assert blocks_are_permutations(drawn, np.flatnonzero(speaker_N == speaker).tolist())


@given(corpora_with_shapes(), SEEDS, st.integers(0, 10**9))
@settings(max_examples=150, deadline=None)
def test_a_batch_holds_different_accents_speakers_and_utterances_wherever_there_are_enough(
    given_corpus, seed, first
) -> None:
    plan, shape = given_corpus
    decks, accent_N, speaker_N = corpus(plan)
    for step in range(first, first + 6):
        rows_B = training_rows(step, decks, shape, seed)
        assert len(rows_B) == shape.rows
        assert len(set(accent_N[rows_B])) == shape.accents
        for accent in set(accent_N[rows_B]):
            available = len(decks.speakers[accent])
            drawn = Counter(speaker_N[rows_B[accent_N[rows_B] == accent]].tolist())
            assert len(drawn) == min(shape.speakers, available)
            for speaker, count in drawn.items():
                rows = rows_B[speaker_N[rows_B] == speaker]
                if shape.speakers <= available or shape.speakers % available == 0:
                    assert len(set(rows.tolist())) == min(count, len(decks.samples[speaker]))


def test_a_step_is_the_same_whatever_was_asked_before() -> None:
    decks, _, _ = corpus([[7, 11, 3], [5, 5], [12]])
    shape = BatchShape(2, 2, 4)
    in_order = [training_rows(step, decks, shape, 5) for step in range(60)]
    for step in range(60):
        fresh, _, _ = corpus([[7, 11, 3], [5, 5], [12]])
        np.testing.assert_array_equal(training_rows(step, fresh, shape, 5), in_order[step])
    for step in np.random.default_rng(0).permutation(60):
        np.testing.assert_array_equal(training_rows(int(step), decks, shape, 5), in_order[step])


def test_the_order_is_the_same_in_every_release() -> None:
    # Written down once: a change here means that no run of before can be resumed.
    decks, _, _ = corpus([[4, 4], [5, 3]])
    assert training_rows(1000, decks, BatchShape(2, 2, 2), 7).tolist() == FROZEN_ROWS
    assert crop_starts(1000, np.array([300, 301, 500, 1000]), 300, 7).tolist() == FROZEN_STARTS


FROZEN_ROWS = [2, 5, 11, 13, 0, 8, 4, 10]
FROZEN_STARTS = [0, 1, 1, 328]


def test_the_order_of_many_steps_is_the_same_in_every_release() -> None:
    digest = hashlib.sha256()
    for plan, shape in (
        ([[4, 4], [5, 3]], BatchShape(2, 2, 2)),
        ([[7, 11, 3], [5, 5], [12]], BatchShape(2, 2, 4)),
        ([[100, 7, 1], [40] * 5, [2]], BatchShape(3, 4, 3)),
    ):
        decks, _, _ = corpus(plan)
        for step in (*range(50), *range(10**6, 10**6 + 50)):
            digest.update(training_rows(step, decks, shape, 7).astype("<i8").tobytes())
    # Computed once, by code that knew no shared prompts.
    assert digest.hexdigest() == "92dce4b6f586016070fd150039685451cb5bf8fcbea317987943dea9f2ee132f"


def test_another_seed_gives_another_order() -> None:
    decks, _, _ = corpus([[12, 12], [12, 12]])
    shape = BatchShape(2, 2, 4)
    orders = {tuple(training_rows(3, decks, shape, seed).tolist()) for seed in range(50)}
    assert len(orders) == 50
    lengths = np.full(16, 10_000)
    assert len({tuple(crop_starts(3, lengths, 300, seed).tolist()) for seed in range(50)}) == 50


def test_coverage_over_many_steps_is_balanced_however_unequal_the_speakers() -> None:
    decks, accent_N, speaker_N = corpus([[100, 7, 1], [40] * 5, [2]])
    shape = BatchShape(2, 2, 3)
    drawn = np.concatenate([training_rows(step, decks, shape, 1) for step in range(3000)])
    by_accent = np.bincount(accent_N[drawn])
    assert np.ptp(by_accent[by_accent > 0]) <= shape.speakers * shape.utterances
    for accent, speakers in decks.speakers.items():
        of_speakers = [np.sum(speaker_N[drawn] == speaker) for speaker in speakers]
        assert np.ptp(of_speakers) <= shape.utterances, accent
    times = np.bincount(drawn, minlength=len(accent_N))
    for samples in decks.samples.values():
        assert np.ptp(times[samples]) <= 1


def test_passes_differ_from_each_other() -> None:
    decks, _, _ = corpus([[10]])
    passes = {tuple(training_rows(step, decks, BatchShape(1, 1, 10), 0).tolist()) for step in range(100)}
    assert len(passes) == 100


def test_every_arrangement_of_a_straddling_pass_is_about_as_likely() -> None:
    # Five items drawn two at a time: the rearranged head must not favour any item.
    decks, _, _ = corpus([[5]])
    rows = np.array([training_rows(step, decks, BatchShape(1, 1, 2), 0) for step in range(5000)])
    pairs = Counter(tuple(sorted(pair)) for pair in rows.tolist())
    assert len(pairs) == 10
    # 500 each are expected; five standard deviations of a binomial are 106.
    assert max(abs(count - 500) for count in pairs.values()) < 106


def test_too_many_accents_a_batch_are_refused() -> None:
    decks, _, _ = corpus([[3], [3]])
    with pytest.raises(ValueError, match="3 different accents cannot be drawn from 2"):
        training_rows(0, decks, BatchShape(3, 1, 1), 0)


def test_decks_refuse_samples_that_cannot_be_dealt() -> None:
    with pytest.raises(ValueError, match="two accents"):
        build_decks(np.array([0, 1]), np.array([0, 1]), np.array([5, 5]))
    with pytest.raises(ValueError, match="twice"):
        build_decks(np.array([4, 4]), np.array([0, 0]), np.array([5, 5]))
    with pytest.raises(ValueError, match="at least one"):
        build_decks(np.array([]), np.array([]), np.array([]))


@given(st.integers(1, 8), st.integers(1, 6))
def test_shares_of_all_ranks_are_the_global_batch(world_size, each) -> None:
    rows_B = np.arange(world_size * each)
    shares = [rank_share(rows_B, rank, world_size) for rank in range(world_size)]
    assert {len(share) for share in shares} == {each}
    np.testing.assert_array_equal(np.concatenate(shares), rows_B)


def test_shares_that_do_not_come_out_even_are_refused() -> None:
    with pytest.raises(ValueError, match="24 rows cannot be shared equally by 5 processes"):
        rank_share(np.arange(24), 0, 5)


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40), st.integers(1, 600), st.integers(0, 10**9), SEEDS)
def test_crops_lie_within_their_utterance(lengths, crop_frames, step, seed) -> None:
    starts_B = crop_starts(step, np.array(lengths), crop_frames, seed)
    for start, length in zip(starts_B, lengths, strict=True):
        assert start >= 0
        assert start + min(length, crop_frames) <= length


def test_crops_reach_every_place_evenly() -> None:
    starts = np.concatenate([crop_starts(step, np.full(100, 309), 300, 0) for step in range(100)])
    counts = np.bincount(starts)
    assert len(counts) == 10
    # 1,000 each are expected; five standard deviations are 150.
    assert np.abs(counts - 1000).max() < 150


def test_a_crop_depends_on_its_row_and_not_on_the_other_rows() -> None:
    lengths = np.array([500, 900, 300, 2000, 640])
    changed = lengths.copy()
    changed[[0, 2]] = 100
    before, after = crop_starts(9, lengths, 300, 1), crop_starts(9, changed, 300, 1)
    np.testing.assert_array_equal(before[[1, 3, 4]], after[[1, 3, 4]])


@given(
    st.lists(st.integers(1, 1500), max_size=60),
    st.integers(1, 5000),
    st.integers(1, 8),
)
@settings(deadline=None)
def test_evaluation_is_a_partition_with_equal_shapes_on_all_ranks(lengths, frames_per_batch, world_size) -> None:
    numbers_N = 3 + 7 * np.arange(len(lengths))
    length_of = dict(zip(numbers_N.tolist(), lengths, strict=True))
    batches = evaluation_batches(numbers_N, np.array(lengths), frames_per_batch, world_size)
    seen = [int(number) for batch in batches for number in batch.ravel() if number != NO_SAMPLE]
    assert sorted(seen) == numbers_N.tolist()
    for batch in batches:
        assert batch.shape[0] == world_size and batch.shape[1] >= 1
        assert np.any(batch != NO_SAMPLE)
        for rows in batch:
            longest = max((length_of[int(number)] for number in rows if number != NO_SAMPLE), default=0)
            assert longest * len(rows) <= frames_per_batch or len(rows) == 1


def groups_taken_one_by_one(numbers_N: np.ndarray, lengths: list[int], most: int, world_size: int) -> list[np.ndarray]:
    """The definition: the longest that are left, as many as fit, equally many for each process."""
    left = sorted(zip((-np.array(lengths)).tolist(), numbers_N.tolist(), strict=True))
    batches = []
    while left:
        taken = left[: max(1, most // max(1, -left[0][0])) * world_size]
        left = left[len(taken) :]
        rows = -(-len(taken) // world_size)
        numbers = [number for _, number in taken] + [NO_SAMPLE] * (rows * world_size - len(taken))
        batches.append(np.array(numbers).reshape(world_size, rows))
    return batches


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(1, 300), st.integers(1, 5), SEEDS)
@settings(deadline=None)
def test_the_plan_of_an_evaluation_is_that_of_groups_taken_one_by_one(lengths, most, world_size, seed) -> None:
    numbers_N = np.random.default_rng(seed).permutation(2 * len(lengths) + 1)[: len(lengths)]
    plan = evaluation_batches(numbers_N, np.array(lengths), most, world_size)
    expected = groups_taken_one_by_one(numbers_N, lengths, most, world_size)
    assert [batch.tolist() for batch in plan] == [batch.tolist() for batch in expected]
    length_of = dict(zip(numbers_N.tolist(), lengths, strict=True))
    for rank in range(world_size if expected else 0):
        shapes = [
            (len(batch[rank]), max(1, *(length_of.get(number, 0) for number in batch[rank].tolist()), 0))
            for batch in expected
        ]
        assert plan.most(rank) == (max(rows for rows, _ in shapes), max(rows * long for rows, long in shapes))


def test_evaluation_wastes_little_on_padding() -> None:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.gamma(6, 60, 3000), 100, 1000).astype(int)
    batches = evaluation_batches(np.arange(3000), lengths, 12_000, 2)
    padded = sum(
        len(rows) * lengths[rows[rows != NO_SAMPLE]].max() for batch in batches for rows in batch if rows.max() >= 0
    )
    assert 1 - lengths.sum() / padded < 0.10


def test_evaluation_refuses_a_sample_given_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        evaluation_batches(np.array([1, 1]), np.array([5, 5]), 100, 1)


def test_what_is_remembered_of_a_deck_does_not_grow_with_the_steps() -> None:
    decks, _, _ = corpus([[7, 11, 3], [5, 5], [12]])
    for step in range(400):
        training_rows(step, decks, BatchShape(3, 2, 4), 0)
        if step == 100:
            early = sum(len(newest) for newest in decks.newest.values())
    # A deck of accents, one of speakers for each accent, one of utterances for each speaker.
    assert sum(len(newest) for newest in decks.newest.values()) == early <= 2 * (1 + 3 + 6)


@given(corpora_with_shapes(), st.integers(1, 40), st.data())
@settings(deadline=None)
def test_the_padding_foretold_is_the_padding_of_whole_passes(given_corpus, crop_frames, data) -> None:
    decks, accent_N, speaker_N = corpus(given_corpus[0])
    frames_N = np.array(data.draw(st.lists(st.integers(1, 60), min_size=len(accent_N), max_size=len(accent_N))))
    by_accent = []
    for accent in decks.accents_A:
        rates = []
        for speaker in np.unique(speaker_N[accent_N == accent]):
            rates.append(
                np.mean([min(frames_N[number], crop_frames) for number in np.flatnonzero(speaker_N == speaker)])
            )
        by_accent.append(np.mean(rates))
    expected = 1 - np.mean(by_accent) / crop_frames
    assert padding_of_crops(decks, frames_N, crop_frames) == pytest.approx(expected)


def test_the_padding_foretold_is_that_of_the_rows_drawn() -> None:
    decks, accent_N, _ = corpus([[8, 3], [12, 6]])
    frames_N = np.random.default_rng(0).integers(5, 60, len(accent_N))
    # 2 accents, 2 speakers, 4 utterances: 24 visits are whole passes through decks of 8, 3, 12 and 6.
    drawn = np.concatenate([training_rows(step, decks, BatchShape(2, 2, 4), 3) for step in range(6)])
    assert padding_of_crops(decks, frames_N, 30) == pytest.approx(1 - np.minimum(frames_N[drawn], 30).mean() / 30)


def test_a_step_of_100000_utterances_sorts_the_decks_that_it_draws_from_and_no_others() -> None:
    speaker_N = np.random.default_rng(0).integers(0, 3000, 100_000)
    decks = build_decks(np.arange(100_000), speaker_N % 6, speaker_N)
    training_rows(2_900_000, decks, BatchShape(5, 3, 7), 0)
    # One of accents, five of speakers, fifteen of utterances; of the super-decks of each, the one of this step.
    assert len(decks.newest) == 1 + 5 + 15
    assert all(len(known) == 1 for known in decks.newest.values())
