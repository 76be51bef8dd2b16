"""Which input goes where depends on the corpus and the configuration, and on nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from shards.corpora.corpus import Corpus, CorpusConfig, Refusal, Utterance
from shards.writing import resume as unfinished
from shards.writing.plan import FeaturizeConfig, make_plan
from shards.writing.resume import begin


def _corpus(count: int = 50, root: Path = Path("/corpus")) -> Corpus:
    utterances = tuple(
        Utterance(f"S{number % 5}-u{number:03d}", root / f"u{number}.wav", f"S{number % 5}", "A", "c", "p")
        for number in range(count)
    )
    ordered = tuple(sorted(utterances, key=lambda one: one.key))
    return Corpus("c", root, ordered, (Refusal("x.wav", f"{root}/x.wav is broken"),))


def _keys(made):
    return [[one.key for one in shard] for shard in made.shards]


def test_every_input_is_in_exactly_one_shard():
    made = make_plan(_corpus(), FeaturizeConfig(samples_per_shard=7))
    assert sorted(key for shard in _keys(made) for key in shard) == [one.key for one in _corpus().utterances]
    assert [len(shard) for shard in made.shards] == [7] * 7 + [1]
    assert made.count == 50


def test_a_shard_is_a_sample_of_the_whole_corpus():
    shards = make_plan(_corpus(500), FeaturizeConfig(samples_per_shard=100)).shards
    for shard in shards:
        speakers = {one.speaker for one in shard}
        assert len(speakers) == 5


def test_the_seed_decides_the_order():
    one, other = FeaturizeConfig(seed=1), FeaturizeConfig(seed=2)
    assert _keys(make_plan(_corpus(), one)) == _keys(make_plan(_corpus(), one))
    assert _keys(make_plan(_corpus(), one)) != _keys(make_plan(_corpus(), other))


def test_the_place_of_the_corpus_and_how_it_was_listed_change_nothing():
    here = make_plan(_corpus(root=Path("/here")), FeaturizeConfig())
    there = make_plan(_corpus(root=Path("/there")), FeaturizeConfig(corpus=CorpusConfig(kind="table")))
    assert here.fingerprint == there.fingerprint


def _other_label(corpus):
    return replace(corpus, utterances=(replace(corpus.utterances[0], sex="male"), *corpus.utterances[1:]))


def _fewer(corpus):
    return replace(corpus, utterances=corpus.utterances[1:])


def _other_refusal(corpus):
    return replace(corpus, refused=())


@pytest.mark.parametrize("change", [_other_label, _fewer, _other_refusal])
def test_another_corpus_is_another_plan(change):
    assert (
        make_plan(_corpus(), FeaturizeConfig()).fingerprint
        != make_plan(change(_corpus()), FeaturizeConfig()).fingerprint
    )


def test_another_size_of_an_input_is_another_plan(tmp_path):
    before = make_plan(_corpus(root=tmp_path), FeaturizeConfig()).fingerprint
    (tmp_path / "u3.wav").write_bytes(b"1234")
    assert make_plan(_corpus(root=tmp_path), FeaturizeConfig()).fingerprint != before


def test_half_made_shards_of_another_plan_are_kept_and_named(tmp_path):
    assert begin(tmp_path, make_plan(_corpus(), FeaturizeConfig())) is None
    assert begin(tmp_path, make_plan(_corpus(), FeaturizeConfig())) is None
    other = FeaturizeConfig(features=FeatureConfig(pitch_floor_hz=60))
    with pytest.raises(AccentError, match=r"features.pitch_floor_hz is 75.0 there and 60.*here"):
        begin(tmp_path, make_plan(_corpus(), other))
    with pytest.raises(AccentError, match="list of inputs differs"):
        begin(tmp_path, make_plan(_corpus(20), FeaturizeConfig()))


def test_half_a_set_is_not_continued_with_other_software(tmp_path, monkeypatch):
    assert begin(tmp_path, make_plan(_corpus(), FeaturizeConfig())) is None
    newer = {**unfinished.made_with(), "librosa": "99.0"}
    monkeypatch.setattr(unfinished, "made_with", lambda: newer)
    with pytest.raises(AccentError, match=r"librosa 0\.\S+ there and 99\.0 here"):
        begin(tmp_path, make_plan(_corpus(), FeaturizeConfig()))


def test_a_shard_of_unknown_origin_is_not_overwritten(tmp_path):
    (tmp_path / "shard-000000.tar").write_bytes(b"precious")
    with pytest.raises(AccentError, match=r"shard-000000\.tar"):
        begin(tmp_path, make_plan(_corpus(), FeaturizeConfig()))
    assert (tmp_path / "shard-000000.tar").read_bytes() == b"precious"


def test_an_impossible_size_names_its_key():
    with pytest.raises(ValueError, match="samples_per_shard"):
        FeaturizeConfig(samples_per_shard=0)
