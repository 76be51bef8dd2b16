"""Utterances and groups of utterances of both kinds of encoder, against one forward pass an utterance."""

import numpy as np
import pytest
import torch

from accent.metrics import mean_of_utterances
from accent.model.build import AccentEncoder, build_encoder
from accent.model.config import ModelConfig
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.statistics import PhoneStatistics
from launch.extraction.groups import BLOCK_ROWS, embed_speech
from launch.extraction.speaker_statistics import speaker_voices
from shards.loading.loader import EvaluationLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from tests.support.shard_sets.synthetic import make_shard_set

UNITS = ("*-sil", "*-AA", "*-N", "*-S")


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    speakers = {"Arabic": ["A0", "A1"], "Hindi": ["H0", "H1"]}
    return make_shard_set(tmp_path_factory.mktemp("shards"), speakers, 3 + BLOCK_ROWS, lengths=(20, 40))


@pytest.fixture(scope="module")
def phonetic() -> AccentEncoder:
    torch.manual_seed(0)
    config = ModelConfig(branch="phones", normalisation="speaker", units=UNITS, accents=("Arabic", "Hindi"))
    encoder = build_encoder(config)
    assert isinstance(encoder, PhoneticEncoder)
    # Training measures the directions; without them all speech is embedded alike.
    encoder.embedding.directions_XQ.normal_(std=0.1)
    return encoder.eval()


def direct_sums(encoder: PhoneticEncoder, shard_set: ShardSet, sample: int, half: int | None = None) -> PhoneStatistics:
    """One utterance, without padding, loader or store."""
    frames_1TD = torch.tensor(ShardReader(shard_set).frames(sample)).float().unsqueeze(0)
    speaker_1 = torch.tensor([int(shard_set.index["speaker"][sample])])
    valid_1T = torch.ones(frames_1TD.shape[:2], dtype=torch.bool)
    half_1 = None if half is None else torch.tensor([half])
    return encoder.statistics(frames_1TD, valid_1T, speaker_voices(shard_set).rows(speaker_1), half_1)


def speakers_samples(shard_set: ShardSet, name: str) -> np.ndarray:
    return np.flatnonzero(np.array(shard_set.speakers)[shard_set.index["speaker"]] == name)


def test_a_group_is_embedded_from_the_sum_of_its_utterances(phonetic, shard_set):
    speech = embed_speech(phonetic, EvaluationLoader(shard_set, ["A0", "H1"]))
    groups = [speakers_samples(shard_set, "A0"), speakers_samples(shard_set, "H1")[[4, 1]]]
    answer = speech.embed_groups(groups)
    for row, samples in enumerate(groups):
        parts = [direct_sums(phonetic, shard_set, sample) for sample in samples]
        with torch.no_grad():
            wanted = phonetic.embed(PhoneStatistics(*(sum(column) for column in zip(*parts, strict=True))))
        # The store leaves out states that are hardly there.
        np.testing.assert_allclose(answer.embedding_GE[row], wanted.embedding_BE[0], atol=2e-4)
        np.testing.assert_allclose(answer.logits_GA[row], wanted.accent_logits_BA[0], atol=2e-3)
    # And not by the mean of its utterances.
    mean = mean_of_utterances(speech.utterances.embedding_NE, speech.utterances.logits_NA)
    rows = np.searchsorted(speech.utterances.sample_N, groups[0])
    assert np.abs(mean([rows]).logits_GA - answer.logits_GA[:1]).max() > 0.05


def test_an_utterance_is_embedded_as_by_the_encoder_and_is_a_group_of_one(phonetic, shard_set):
    found, embed_groups = embed_speech(phonetic, EvaluationLoader(shard_set, ["H0", "A1"]))
    assert set(found.sample_N) == {*speakers_samples(shard_set, "H0"), *speakers_samples(shard_set, "A1")}
    assert (np.diff(found.sample_N) > 0).all()
    for row in range(0, len(found.sample_N), 11):
        sample = found.sample_N[row]
        assert found.speaker_N[row] == shard_set.index["speaker"][sample]
        assert found.accent_N[row] == shard_set.index["accent"][sample]
        with torch.no_grad():
            wanted = phonetic.embed(direct_sums(phonetic, shard_set, sample))
        np.testing.assert_allclose(found.embedding_NE[row], wanted.embedding_BE[0], atol=2e-4)
        single = embed_groups([np.array([sample])])
        np.testing.assert_allclose(single.embedding_GE[0], found.embedding_NE[row], atol=1e-6)
        np.testing.assert_allclose(single.logits_GA[0], found.logits_NA[row], atol=1e-4)


def test_a_speaker_who_trained_a_phone_head_is_read_by_the_other(phonetic, shard_set):
    loader = EvaluationLoader(shard_set, ["A0", "H1"])
    half_S = torch.full((len(shard_set.speakers),), -1)
    half_S[shard_set.speakers.index("A0")] = 1
    half_S[shard_set.speakers.index("H1")] = 0
    found = embed_speech(phonetic, loader, half_S=half_S).utterances
    for name, half in (("A0", 1), ("H1", 0)):
        sample = speakers_samples(shard_set, name)[2]
        with torch.no_grad():
            wanted = phonetic.embed(direct_sums(phonetic, shard_set, sample, half)).embedding_BE[0]
        row = int(np.searchsorted(found.sample_N, sample))
        np.testing.assert_allclose(found.embedding_NE[row], wanted, atol=2e-4)


def test_utterances_are_listened_to_once(phonetic, shard_set, monkeypatch):
    listened = []
    genuine = PhoneticEncoder.statistics

    def count(encoder, frames_BTD, *rest):
        listened.append(len(frames_BTD))
        return genuine(encoder, frames_BTD, *rest)

    monkeypatch.setattr(PhoneticEncoder, "statistics", count)
    found, embed_groups = embed_speech(phonetic, EvaluationLoader(shard_set, ["A0"]))
    embed_groups([found.sample_N, found.sample_N[:2]])
    assert sum(listened) == len(found.sample_N)


def test_an_encoder_of_frames_embeds_a_group_by_the_mean_of_unit_vectors_and_logits(shard_set):
    torch.manual_seed(0)
    sizes = {"hidden": 16, "layers": 1, "heads": 2, "embedding_dim": 12}
    model = build_encoder(ModelConfig.from_preset("tiny", **sizes, accents=("Arabic", "Hindi")))
    found, embed_groups = embed_speech(model, EvaluationLoader(shard_set, ["A1", "H1"]))
    samples = speakers_samples(shard_set, "H1")[[0, 3, 5]]
    rows = [found.sample_N.tolist().index(sample) for sample in samples]
    answer = embed_groups([samples])
    np.testing.assert_allclose(answer.embedding_GE[0], found.embedding_NE[rows].mean(0), atol=1e-6)
    np.testing.assert_allclose(answer.logits_GA[0], found.logits_NA[rows].mean(0), atol=1e-5)
