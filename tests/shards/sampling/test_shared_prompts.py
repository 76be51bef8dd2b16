"""The order in which the speakers of one accent read the same prompts; the ordinary order is its oracle."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accent.errors import AccentError
from shards.corpora.prompts import prompts_by_name_and_text
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.sampling import sampler
from shards.sampling.decks import BatchShape, Decks, build_decks
from shards.sampling.sampler import training_rows
from shards.sampling.shared_prompts import Readings, SharedPrompts, find_shared_prompts
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split, SplitConfig, make_split
from shards.streaming.loader import RemoteTrainingLoader
from shards.streaming.remote_shard_set import RemoteShardSet
from tests.shards.sampling.test_sampler import blocks_are_permutations
from tests.support.shard_sets.synthetic import make_shard_set

Plan = list[list[list[int]]]
"""For every accent, for each of its speakers, the prompts that it read; repeats are further readings."""
UNBALANCED: Plan = [[[0, 1, 2, 3, 4, 5], [0, 0, 1, 5, 7], [3, 8]], [[1, 1, 2, 3], [1, 2, 2, 9, 9]]]
SEEDS = st.integers(0, 2**64 - 1)
ACCENT_NAMES = [f"accent {number}" for number in range(20)]


@pytest.fixture(scope="module")
def asked() -> Iterator[list[tuple[int, ...]]]:
    """Which prompts each speaker was asked for since the list was last cleared."""
    noted = list[tuple[int, ...]]()
    genuine = sampler.read_prompts

    def read(theirs: Readings, prompts_M: np.ndarray, turns_M: np.ndarray, drawn_K: np.ndarray) -> np.ndarray:
        noted.append(tuple(prompts_M.tolist()))
        return genuine(theirs, prompts_M, turns_M, drawn_K)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampler, "read_prompts", read)
        yield noted


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """Mixed samples with gaps in the numbers of accents, speakers and prompts, as after a split."""

    accent_N: np.ndarray
    speaker_N: np.ndarray
    prompt_N: np.ndarray

    @classmethod
    def of(cls, plan: Plan) -> "Corpus":
        rows = [
            (3 + 2 * accent, 10 * accent + speaker, 5 + 3 * prompt)
            for accent, speakers in enumerate(plan)
            for speaker, read in enumerate(speakers)
            for prompt in read
        ]
        return cls(*np.random.default_rng(len(rows)).permutation(np.array(rows)).T)

    def find(self) -> SharedPrompts:
        numbers_N = np.arange(len(self.accent_N))
        return find_shared_prompts(numbers_N, self.accent_N, self.speaker_N, self.prompt_N, ACCENT_NAMES)

    def decks(self, shared: SharedPrompts | None) -> Decks:
        return build_decks(np.arange(len(self.accent_N)), self.accent_N, self.speaker_N, shared)

    def shared_by_definition(self, accent: int) -> list[int]:
        readers = defaultdict(set)
        for number in np.flatnonzero(self.accent_N == accent):
            readers[int(self.prompt_N[number])].add(int(self.speaker_N[number]))
        return sorted(prompt for prompt, speakers in readers.items() if len(speakers) >= 2)


@st.composite
def corpora_with_shapes(draw: st.DrawFn) -> tuple[Corpus, BatchShape]:
    plan = draw(
        st.lists(
            st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=2, max_size=5),
            min_size=1,
            max_size=3,
        )
    )
    for speakers in plan:
        # One prompt at least is shared.
        speakers[0].append(speakers[1][0])
    return Corpus.of(plan), BatchShape(
        draw(st.integers(1, len(plan))), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    )


@given(corpora_with_shapes(), SEEDS)
@settings(max_examples=150, deadline=None)
def test_all_speakers_of_a_visit_are_asked_for_the_same_prompts_and_none_repeats_before_its_deck_is_used_up(
    asked, given_corpus, seed
) -> None:
    corpus, shape = given_corpus
    decks = corpus.decks(corpus.find())
    dealt = defaultdict(list)
    for step in range(25):
        asked.clear()
        rows_PSK = training_rows(step, decks, shape, seed).reshape(shape.accents, shape.speakers, shape.utterances)
        for visit, rows_SK in enumerate(rows_PSK):
            prompts = asked[visit * shape.speakers : (visit + 1) * shape.speakers]
            assert len(set(prompts)) == 1 and len(prompts) == shape.speakers
            accent = int(corpus.accent_N[rows_SK[0, 0]])
            assert len(set(prompts[0])) == min(shape.utterances, len(corpus.shared_by_definition(accent)))
            dealt[accent].extend(prompts[0])
    for accent, drawn in dealt.items():
        assert blocks_are_permutations(drawn, corpus.shared_by_definition(accent))


@given(corpora_with_shapes(), SEEDS, st.integers(0, 10**9))
@settings(max_examples=150, deadline=None)
def test_row_k_reads_prompt_k_and_else_the_next_of_the_speakers_own_deck_that_is_not_held(
    asked, given_corpus, seed, first
) -> None:
    corpus, shape = given_corpus
    decks, ordinary_decks = corpus.decks(corpus.find()), corpus.decks(None)
    for step in range(first, first + 6):
        asked.clear()
        rows = training_rows(step, decks, shape, seed).reshape(-1, shape.utterances).tolist()
        ordinary = training_rows(step, ordinary_decks, shape, seed).reshape(-1, shape.utterances).tolist()
        for rows_K, ordinary_K, prompts in zip(rows, ordinary, asked, strict=True):
            speaker = corpus.speaker_N[ordinary_K[0]]
            assert (corpus.speaker_N[rows_K] == speaker).all()
            read = set(corpus.prompt_N[corpus.speaker_N == speaker].tolist())
            answered = [row for row, prompt in zip(rows_K, prompts, strict=False) if prompt in read]
            expected = [row for row in ordinary_K if row not in answered] + [
                row for row in ordinary_K if row in answered
            ]
            for k, row in enumerate(rows_K):
                if k < len(prompts) and prompts[k] in read:
                    assert corpus.prompt_N[row] == prompts[k]
                else:
                    assert row == expected.pop(0)
            if len(set(ordinary_K)) == shape.utterances:
                assert len(set(rows_K)) == shape.utterances


@given(corpora_with_shapes(), st.integers(1, 2), SEEDS)
@settings(max_examples=50, deadline=None)
def test_readings_of_a_prompt_alternate_where_every_speaker_comes_equally_often(
    asked, given_corpus, times, seed
) -> None:
    corpus, shape = given_corpus
    for accent in np.unique(corpus.accent_N):
        chosen = np.flatnonzero(corpus.accent_N == accent)
        alone = Corpus(corpus.accent_N[chosen], corpus.speaker_N[chosen], corpus.prompt_N[chosen])
        decks = alone.decks(alone.find())
        n_speakers = len(np.unique(alone.speaker_N))
        everybody = BatchShape(1, times * n_speakers, shape.utterances)
        drawn = defaultdict(list)
        for step in range(40):
            asked.clear()
            rows = training_rows(step, decks, everybody, seed).reshape(-1, shape.utterances).tolist()
            for rows_K, prompts in zip(rows, asked, strict=True):
                for row, prompt in zip(rows_K, prompts, strict=False):
                    if alone.prompt_N[row] == prompt:
                        drawn[int(alone.speaker_N[row]), prompt].append(row)
        for (speaker, prompt), read in drawn.items():
            readings = np.flatnonzero((alone.speaker_N == speaker) & (alone.prompt_N == prompt)).tolist()
            assert blocks_are_permutations(read, readings)


def test_readings_come_about_equally_often_where_speakers_come_by_turns() -> None:
    corpus = Corpus.of([[[0, 0, 1, 2]] * 4])
    decks = corpus.decks(corpus.find())
    drawn = np.concatenate([training_rows(step, decks, BatchShape(1, 2, 3), 0) for step in range(4000)])
    times_N = np.bincount(drawn, minlength=16)
    for speaker in range(4):
        twice = times_N[(corpus.speaker_N == speaker) & (corpus.prompt_N == 5)]
        assert twice.sum() == 2000
        # Five standard deviations of a binomial are 112.
        assert abs(twice[0] - 1000) < 112


@given(st.integers(1, 12), st.integers(2, 5), st.integers(1, 6), st.integers(0, 10**9), SEEDS)
@settings(max_examples=60, deadline=None)
def test_every_row_meets_its_prompt_in_every_other_voice_where_all_speakers_read_all_prompts(
    n_prompts, n_speakers, utterances, step, seed
) -> None:
    corpus = Corpus.of([[list(range(n_prompts))] * n_speakers] * 2)
    shape = BatchShape(2, n_speakers, min(utterances, n_prompts))
    rows = training_rows(step, corpus.decks(corpus.find()), shape, seed)
    prompts_PSK = corpus.prompt_N[rows].reshape(2, n_speakers, shape.utterances)
    assert (prompts_PSK == prompts_PSK[:, :1]).all()
    assert len(set(rows.tolist())) == shape.rows


def test_accents_and_speakers_come_as_in_the_ordinary_order() -> None:
    corpus = Corpus.of(UNBALANCED)
    decks, ordinary = corpus.decks(corpus.find()), corpus.decks(None)
    for step in range(200):
        rows, others = (training_rows(step, one, BatchShape(2, 2, 3), 3) for one in (decks, ordinary))
        np.testing.assert_array_equal(corpus.speaker_N[rows], corpus.speaker_N[others])


def test_a_step_is_the_same_whatever_was_asked_before() -> None:
    corpus, shape = Corpus.of(UNBALANCED), BatchShape(2, 2, 3)
    decks = corpus.decks(corpus.find())
    in_order = [training_rows(step, decks, shape, 5) for step in range(60)]
    for step in np.random.default_rng(0).permutation(60):
        fresh = corpus.decks(corpus.find())
        np.testing.assert_array_equal(training_rows(int(step), fresh, shape, 5), in_order[step])
        np.testing.assert_array_equal(training_rows(int(step), decks, shape, 5), in_order[step])


def test_the_order_is_the_same_in_every_release() -> None:
    # Written down once: a change here means that no run of before can be resumed.
    corpus = Corpus.of(UNBALANCED)
    rows = training_rows(1000, corpus.decks(corpus.find()), BatchShape(2, 2, 3), 7)
    assert rows.tolist() == FROZEN_ROWS


FROZEN_ROWS = [17, 18, 0, 16, 4, 4, 11, 3, 13, 2, 7, 21]


def test_another_seed_asks_for_the_prompts_in_another_order() -> None:
    corpus = Corpus.of([[list(range(12))] * 2])
    decks = corpus.decks(corpus.find())
    orders = {tuple(training_rows(3, decks, BatchShape(1, 2, 8), seed).tolist()) for seed in range(50)}
    assert len(orders) == 50


def test_what_is_remembered_of_a_deck_does_not_grow_with_the_steps() -> None:
    corpus = Corpus.of(UNBALANCED)
    decks = corpus.decks(corpus.find())
    for step in range(400):
        training_rows(step, decks, BatchShape(2, 2, 4), 0)
    # A deck of accents, one of speakers and one of prompts for each accent, one of utterances for each speaker.
    assert len(decks.newest) == 1 + 2 + 2 + 5
    assert sum(len(newest) for newest in decks.newest.values()) <= 2 * len(decks.newest)


@pytest.mark.parametrize(("n_speakers", "shape"), [(24, BatchShape(6, 2, 4)), (3000, BatchShape(5, 3, 7))])
def test_any_step_of_100000_utterances_draws_no_more_than_one_super_deck_of_each_deck(
    n_speakers: int, shape: BatchShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    speaker_N, prompt_N = generator.integers(0, n_speakers, 100_000), generator.integers(0, 5_000, 100_000)
    corpus = Corpus(speaker_N % 6, speaker_N, prompt_N)
    decks = corpus.decks(corpus.find())
    words_drawn: list[int] = []
    genuine = sampler.permutation

    def counted(size: int, *key: int) -> np.ndarray:
        words_drawn.append(size)
        return genuine(size, *key)

    monkeypatch.setattr(sampler, "permutation", counted)
    assert decks.shared is not None
    # A super-deck is `draws` passes at most.
    most = shape.accents * len(decks.accents_A)
    most += shape.accents * shape.speakers * max(map(len, decks.speakers.values()))
    most += shape.accents * shape.utterances * max(map(len, decks.shared.prompts.values()))
    most += shape.accents * shape.speakers * shape.utterances * max(map(len, decks.samples.values()))
    for step in (0, 1_000_000, 1_700_000, 2_900_000):
        decks.newest.clear()
        words_drawn.clear()
        training_rows(step, decks, shape, 0)
        assert 0 < sum(words_drawn) <= most
        words_drawn.clear()
        training_rows(step, decks, shape, 0)
        assert words_drawn == []


def test_an_utterance_whose_text_is_not_known_is_shared_with_nobody() -> None:
    keys = ["s0-a", "s0-b", "s1-a", "s1-b", "s2-a", "s2-b"]
    # Three sentences go by the name a, so what the third speaker read under it cannot be known.
    texts = ["one", "two", "three", "two", None, "two"]
    names = prompts_by_name_and_text([key[-1] for key in keys], texts, keys)
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    prompt_N = np.array([numbers[name] for name in names])
    shared = find_shared_prompts(np.arange(6), np.zeros(6), np.repeat(np.arange(3), 2), prompt_N, ["a"])
    assert shared.prompts[0].tolist() == [numbers["b"]]


def test_a_prompt_that_one_speaker_read_twice_or_two_accents_read_once_is_not_shared() -> None:
    corpus = Corpus.of([[[0, 0, 1], [1, 2]], [[2, 3], [3, 4]]])
    assert {accent: found.tolist() for accent, found in corpus.find().prompts.items()} == {3: [8], 5: [14]}


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("prompts")
    speakers = {"a": ["a0", "a1", "a2", "a3"], "b": ["b0", "b1", "b2"]}
    return make_shard_set(folder, speakers, 8, prompts=6, samples_per_shard=9, utterances_of={"a0": 3, "b1": 14})


SAME = BatchConfig(crop_frames=20, utterances_per_speaker=4, same_prompts=True, workers=0)


@pytest.mark.parametrize("world_size", [1, 2, 4, 8])
def test_the_rows_of_all_ranks_are_the_global_batch_of_one_process_from_any_step(
    shard_set: ShardSet, world_size: int
) -> None:
    alone = TrainingLoader(shard_set, None, SAME, 3)
    for step in (0, 1, 7, 10**6):
        ranks = [TrainingLoader(shard_set, None, SAME, 3, rank, world_size).rows(step) for rank in range(world_size)]
        for column, shares in zip(alone.rows(step), zip(*ranks, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(shares), column)


def test_batches_hold_the_prompts_that_the_rows_say_and_none_that_is_held_out(shard_set: ShardSet) -> None:
    split = make_split(shard_set, SplitConfig(held_out_prompts=0.3))
    split = dataclasses.replace(split, train=("a1", "a2", "b0", "b2"), validation=("a0",), test=("a3", "b1"))
    loader = TrainingLoader(shard_set, split, SAME)
    held_out = {shard_set.prompts.index(prompt) for prompt in split.held_out_prompts}
    assert len(held_out) == 2
    for batch in loader.steps(0, 20):
        prompts_PSK = batch.prompt_B.numpy().reshape(2, 2, 4)
        # All four speakers read all six prompts.
        assert (prompts_PSK[:, 0] == prompts_PSK[:, 1]).all()
        assert len(set(prompts_PSK[0, 0])) == 4 and not held_out & set(prompts_PSK.ravel().tolist())


def test_an_accent_that_shares_no_prompt_among_its_training_speakers_is_refused_by_name(shard_set: ShardSet) -> None:
    # The others of accent b read the same prompts, but do not train.
    split = Split(("a0", "a1", "b0"), ("b1",), ("b2",))
    with pytest.raises(AccentError, match=r"^batch.same_prompts: no two training speakers of b read the same prompt; "):
        TrainingLoader(shard_set, split, SAME)
    TrainingLoader(shard_set, split, dataclasses.replace(SAME, same_prompts=False))


def test_one_speaker_an_accent_cannot_share_prompts() -> None:
    with pytest.raises(ValueError, match=r"^speakers_per_accent: 1 is too small, at least 2 with same_prompts$"):
        BatchConfig(speakers_per_accent=1, same_prompts=True)


def test_a_stream_refuses_to_choose_prompts(shard_set: ShardSet) -> None:
    address = f"pipe:cat {shard_set.root}/{{}}"
    with pytest.raises(AccentError, match=r"^batch.same_prompts: pipe:cat .* is streamed.*; copy the shard set"):
        RemoteTrainingLoader(RemoteShardSet.open(address), None, SAME)
