"""The phonetic encoder: padding changes nothing, sums add up, a head never reads who trained it."""

import numpy as np
import pytest
import torch

from accent.features.config import FeatureConfig
from accent.features.schema import N_COLUMNS
from accent.inference.embedder import AccentEmbedder
from accent.inference.model_file import load_model, save_model
from accent.model.config import ModelConfig
from accent.model.normalisation import measure_voices
from accent.model.phonetic.chain import measure_chain
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.inventory import build_inventory
from accent.model.phonetic.measure import choose_utterances, measure_embedding
from accent.model.phonetic.statistics import PhoneStatistics, join
from accent.model.phonetic.store import StatisticsStore

FRAMES = [61, 90, 75, 120, 88, 90, 101, 64]
SPEAKERS = np.array([0, 0, 1, 1, 2, 2, 3, 3])
ACCENTS = SPEAKERS // 2


@pytest.fixture(scope="module")
def recordings() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    found = [torch.randn(frames, N_COLUMNS, generator=generator) * 3 + 100 for frames in FRAMES]
    for frames_TD in found:
        frames_TD[5:9, 125:135] = torch.nan
    return found


@pytest.fixture(scope="module")
def encoder(recordings) -> PhoneticEncoder:
    rng = np.random.default_rng(0)
    alignments = [np.repeat(rng.integers(0, 9, 20), rng.integers(3, 8, 20)) for _ in range(40)]
    inventory = build_inventory([(number % 8, phones_T) for number, phones_T in enumerate(alignments)])
    torch.manual_seed(0)
    encoder = PhoneticEncoder(
        ModelConfig.from_preset(
            "phonetic", units=inventory.names, accents=("a", "b"), phone_channels=16, directions=6, embedding_dim=8
        )
    ).eval()
    encoder.recogniser.set_chain(measure_chain(alignments, inventory))
    rows = join([sums(encoder, frames_TD) for frames_TD in recordings])
    measure_embedding(
        encoder.embedding,
        lambda wanted: PhoneStatistics(*(part[list(wanted)] for part in rows)),
        SPEAKERS,
        ACCENTS,
    )
    return encoder


def sums(encoder: PhoneticEncoder, frames_TD: torch.Tensor, half: int | None = None, voices=None):
    frames_BTD = frames_TD[None]
    valid_BT = torch.ones(frames_BTD.shape[:2], dtype=torch.bool)
    half_B = None if half is None else torch.tensor([half])
    return encoder.statistics(frames_BTD, valid_BT, voices or measure_voices(frames_BTD, valid_BT), half_B)


def test_padding_and_neighbours_change_nothing(encoder, recordings):
    longest = max(FRAMES) + 7
    frames_BTD = torch.full((len(recordings), longest, N_COLUMNS), torch.nan)
    valid_BT = torch.zeros(len(recordings), longest, dtype=torch.bool)
    for row, frames_TD in enumerate(recordings):
        frames_BTD[row, : len(frames_TD)] = frames_TD
        valid_BT[row, : len(frames_TD)] = True
    voices = measure_voices(frames_BTD, valid_BT)
    together = encoder(frames_BTD, valid_BT, voices).embedding_BE
    for row, frames_TD in enumerate(recordings):
        alone = encoder.embed(sums(encoder, frames_TD, voices=voices.rows(torch.tensor([row])))).embedding_BE
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)


def test_embeddings_have_unit_length_and_differ(encoder, recordings):
    embedding_RE = encoder.embed(join([sums(encoder, frames_TD) for frames_TD in recordings])).embedding_BE
    torch.testing.assert_close(embedding_RE.norm(dim=1), torch.ones(len(recordings)))
    assert torch.pdist(embedding_RE).min() > 1e-3


def test_sums_of_two_utterances_are_the_sum_of_their_sums(encoder, recordings):
    rows = join([sums(encoder, frames_TD) for frames_TD in recordings[:2]])
    grouped = rows.grouped(torch.tensor([[1.0, 1.0]]))
    for part, whole in zip(rows, grouped, strict=True):
        torch.testing.assert_close(part.sum(0), whole[0])
    assert grouped.count_RS.sum() == pytest.approx(sum(FRAMES[:2]), rel=1e-4)


def test_a_speaker_is_read_by_the_head_that_others_trained(encoder, recordings):
    with torch.no_grad():
        saved = {name: value.clone() for name, value in encoder.recogniser.heads[0].state_dict().items()}
        before = [sums(encoder, recordings[0], half).count_RS for half in (0, 1)]
        for parameter in encoder.recogniser.heads[0].parameters():
            parameter.add_(torch.randn_like(parameter))
        after = [sums(encoder, recordings[0], half).count_RS for half in (0, 1)]
        encoder.recogniser.heads[0].load_state_dict(saved)
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_what_was_not_heard_adds_nothing(encoder, recordings):
    heard = sums(encoder, recordings[0])
    nothing = type(heard)(*(torch.zeros_like(part) for part in heard))
    for table in encoder.embedding.tables:
        deviation_RKC = encoder.embedding.deviations(nothing, table)
        assert deviation_RKC.abs().max() == 0


def test_training_speakers_deviations_have_mean_zero_and_unit_spread(encoder, recordings):
    rows = join([sums(encoder, frames_TD) for frames_TD in recordings])
    speakers = rows.grouped(torch.nn.functional.one_hot(torch.from_numpy(SPEAKERS)).T)
    for table in encoder.embedding.tables:
        deviation = encoder.embedding.deviations(speakers, table)
        standard = (deviation - table.centre_KC) / table.scale_KC
        moving = table.scale_KC > 2e-3
        assert standard.mean(0)[moving].abs().max() < 1e-2
        torch.testing.assert_close(standard.std(0, correction=0)[moving].mean(), torch.tensor(1.0), atol=0.05, rtol=0)


def test_the_fusion_weights_name_every_view_and_sum_to_one(encoder):
    weights = encoder.fusion_weights()
    assert tuple(weights) == encoder.config.ordered_views
    assert sum(weights.values()) == pytest.approx(1)


def test_only_the_map_the_head_and_the_fusion_learn_from_the_embedding(encoder, recordings):
    output = encoder.embed(sums(encoder, recordings[0]))
    output.accent_logits_BA.sum().backward()
    reached = {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    encoder.zero_grad(set_to_none=True)
    assert reached == {
        "embedding.fusion_logits_V", "embedding.map.weight", "embedding.map.bias", "accent_head.direction_AE",
    }  # fmt: skip


def test_a_saved_model_gives_the_same_embeddings(encoder, recordings, tmp_path):
    save_model(encoder, tmp_path, FeatureConfig())
    loaded, _ = load_model(tmp_path)
    assert isinstance(loaded, PhoneticEncoder)
    mine, theirs = (one.embed(sums(one, recordings[3])).embedding_BE for one in (encoder, loaded))
    torch.testing.assert_close(mine, theirs)


def test_a_head_that_grows_keeps_what_it_knows(encoder, recordings, tmp_path):
    save_model(encoder, tmp_path, FeatureConfig())
    loaded, _ = load_model(tmp_path)
    loaded.set_accents(("a", "c", "b"))
    before = encoder.embed(sums(encoder, recordings[0])).accent_logits_BA
    after = loaded.embed(sums(loaded, recordings[0])).accent_logits_BA
    torch.testing.assert_close(after[:, [0, 2]], before)


def test_the_store_gives_back_what_it_was_given(encoder, recordings):
    rows = join([sums(encoder, frames_TD) for frames_TD in recordings[:3]])
    store = StatisticsStore(encoder.recogniser.inventory.n_states)
    store.keep([7, 5, 6], rows)
    again = store.sums([5, 7])
    torch.testing.assert_close(again.count_RS, rows.count_RS[[1, 0]], atol=2e-3, rtol=0)
    torch.testing.assert_close(again.sum_RSD, rows.sum_RSD[[1, 0]], atol=1e-2, rtol=0)
    assert 5 in store and 8 not in store


def test_utterances_to_measure_are_shared_fairly_among_speakers():
    speaker_N = np.array([0] * 10 + [1] * 2 + [2] * 10)
    chosen = choose_utterances(speaker_N, most=8)
    assert np.bincount(speaker_N[chosen]).tolist() == [3, 2, 3]


def test_the_embedder_makes_one_vector_of_all_recordings_sums(encoder, recordings):
    embedder = AccentEmbedder(encoder, FeatureConfig())
    several = [frames_TD.numpy() for frames_TD in recordings[:3]]
    stored = [torch.from_numpy(frames_TD.astype(np.float16).astype(np.float32)) for frames_TD in several]
    joined = torch.cat(stored)[None]
    voices = measure_voices(joined, torch.ones(joined.shape[:2], dtype=torch.bool))
    rows = join([sums(encoder, frames_TD, voices=voices) for frames_TD in stored])
    with torch.no_grad():
        expected_1E = encoder.embed(rows.grouped(torch.ones(1, 3))).embedding_BE
    np.testing.assert_allclose(embedder.predict_speaker(several).embedding_E, expected_1E[0].numpy(), atol=1e-5)
