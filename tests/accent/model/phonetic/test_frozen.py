"""A phonetic encoder in use beside the encoder itself."""

import numpy as np
import pytest
import torch

from accent.features.schema import N_COLUMNS
from accent.model.config import ModelConfig
from accent.model.normalisation import measure_voices
from accent.model.phonetic.chain import measure_chain
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.frozen import FrozenPhoneticEncoder, FrozenRecogniser
from accent.model.phonetic.inventory import build_inventory
from tests.support.frame_masks import valid_frames


@pytest.fixture(scope="module")
def encoder() -> PhoneticEncoder:
    """Every weight random, those that begin as ones and zeros too."""
    rng = np.random.default_rng(0)
    alignments = [np.repeat(rng.integers(0, 9, 20), rng.integers(3, 8, 20)) for _ in range(40)]
    inventory = build_inventory([(number % 8, phones_T) for number, phones_T in enumerate(alignments)])
    torch.manual_seed(0)
    config = ModelConfig.from_preset(
        "phonetic", units=inventory.names, accents=("a", "b"), phone_channels=16, directions=6, embedding_dim=8
    )
    encoder = PhoneticEncoder(config).eval()
    encoder.recogniser.set_chain(measure_chain(alignments, inventory))
    with torch.no_grad():
        for weights in (*encoder.recogniser.parameters(), encoder.embedding.fusion_logits_V):
            weights.copy_(torch.randn(weights.shape) / max(weights.shape[-1], 4) ** 0.5)
        encoder.embedding.set_directions(torch.randn(encoder.embedding.directions_XQ.shape))
    return encoder


@pytest.mark.parametrize("lengths", [[61], [61, 90, 7], [90, 90]])
def test_heads_side_by_side_believe_what_they_believe_one_by_one(encoder, lengths):
    values_BTD, valid_BT = torch.randn(len(lengths), max(lengths), N_COLUMNS), valid_frames(lengths, max(lengths))
    found_BTS = FrozenRecogniser(encoder.recogniser).posteriors(values_BTD, valid_BT)
    expected_BTS = encoder.recogniser.posteriors(values_BTD, valid_BT)
    torch.testing.assert_close(found_BTS[valid_BT], expected_BTS[valid_BT], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found_BTS[valid_BT].sum(-1), torch.ones(sum(lengths)))


def test_who_trained_a_head_is_not_read_by_it(encoder):
    values_BTD, valid_BT = torch.randn(2, 50, N_COLUMNS), valid_frames([50, 50], 50)
    half_B = torch.tensor([0, 1])
    found_BTS = FrozenRecogniser(encoder.recogniser).posteriors(values_BTD, valid_BT, half_B)
    for row, other in ((0, 1), (1, 0)):
        expected_BTS = encoder.recogniser.logits(other, values_BTD, valid_BT).states()
        torch.testing.assert_close(found_BTS[row], expected_BTS[row])


def test_embeddings_and_logits_are_those_of_the_encoder(encoder):
    frames_BTD, valid_BT = 100 + 3 * torch.randn(2, 120, N_COLUMNS), valid_frames([120, 83], 120)
    voices = measure_voices(frames_BTD, valid_BT)
    frozen = FrozenPhoneticEncoder(encoder)
    embedding_BE, logits_BA = frozen.embed(frozen.statistics(frames_BTD, valid_BT, voices))
    with torch.no_grad():
        expected = encoder(frames_BTD, valid_BT, voices)
    torch.testing.assert_close(embedding_BE, expected.embedding_BE, atol=1e-5, rtol=0)
    torch.testing.assert_close(logits_BA, expected.accent_logits_BA, atol=1e-4, rtol=0)
