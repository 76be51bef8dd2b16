"""The map begins at the ridge regression of the training speakers' accents, scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from accent.model.config import ModelConfig
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.start import RIDGE, begin_at_ridge

DIRECTIONS = 40


def encoder(accents: int, embedding_dim: int = 16) -> PhoneticEncoder:
    torch.manual_seed(0)
    return PhoneticEncoder(
        ModelConfig.from_preset(
            "phonetic",
            accents=tuple(f"accent {number}" for number in range(accents)),
            units=("*-sil", "*-AA", "*-N"),
            directions=DIRECTIONS,
            embedding_dim=embedding_dim,
        )
    ).eval()


def speakers(of_accent: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return speakers as far apart within accents as between them; accents need not have equally many."""
    generator = torch.Generator().manual_seed(seed)
    accent_G = torch.repeat_interleave(torch.tensor(of_accent))
    centre_AQ = torch.randn(len(of_accent), DIRECTIONS, generator=generator)
    return centre_AQ[accent_G] + torch.randn(len(accent_G), DIRECTIONS, generator=generator) + 0.5, accent_G


def ridge_scores(fused_GQ: Tensor, accent_G: Tensor, unseen_RQ: Tensor, accents: int) -> np.ndarray:
    """Return scikit-learn's scores of unseen speakers, less their mean over accents."""
    fused, weight = fused_GQ.double().numpy(), 1 / np.bincount(accent_G)[accent_G]
    weight /= weight.sum()
    variance = (weight[:, None] * (fused - weight @ fused) ** 2).sum(0)
    model = Ridge(alpha=RIDGE * variance.mean()).fit(fused, np.eye(accents)[accent_G], sample_weight=weight)
    scores = model.predict(unseen_RQ.double().numpy())
    return np.asarray(scores - scores.mean(1, keepdims=True))


@pytest.mark.parametrize("of_accent", [[3, 3, 3, 3, 3], [9, 2, 4]])
def test_logits_are_the_scores_of_ridge_regression_brought_to_unit_length(of_accent: list[int]) -> None:
    model = encoder(len(of_accent))
    fused_GQ, accent_G = speakers(of_accent)
    begin_at_ridge(model.embedding, model.accent_head, fused_GQ, accent_G)
    unseen_RQ, _ = speakers([20] * len(of_accent), seed=1)

    mapped_RE = model.embedding.map(unseen_RQ)[:, : len(of_accent) - 1]
    logits_RA = model.accent_head(torch.nn.functional.normalize(mapped_RE @ torch.eye(len(of_accent) - 1, 16), dim=-1))
    scores_RA = ridge_scores(fused_GQ, accent_G, unseen_RQ, len(of_accent))
    of_unit_length = scores_RA / np.linalg.norm(scores_RA, axis=1, keepdims=True)
    wanted = model.config.accent_scale * of_unit_length / np.sqrt(1 - 1 / len(of_accent))
    np.testing.assert_allclose(logits_RA.detach(), wanted, atol=1e-4)


def test_dimensions_beyond_the_regression_change_no_answer() -> None:
    model = encoder(5)
    fused_GQ, accent_G = speakers([3] * 5)
    begin_at_ridge(model.embedding, model.accent_head, fused_GQ, accent_G)
    unseen_RQ, _ = speakers([20] * 5, seed=1)
    mapped_RE = model.embedding.map(unseen_RQ)
    assert mapped_RE[:, 4:].abs().max() > 0
    told_R = model.accent_head(torch.nn.functional.normalize(mapped_RE, dim=-1)).argmax(1)
    np.testing.assert_array_equal(told_R, ridge_scores(fused_GQ, accent_G, unseen_RQ, 5).argmax(1))


def test_an_embedding_of_fewer_dimensions_than_accents_keeps_the_axes_that_vary_most() -> None:
    model = encoder(6, embedding_dim=3)
    fused_GQ, accent_G = speakers([8] * 6)
    begin_at_ridge(model.embedding, model.accent_head, fused_GQ, accent_G)
    mapped_GE = model.embedding.map(fused_GQ).detach().double().numpy()
    scores_GA = ridge_scores(fused_GQ, accent_G, fused_GQ, 6)
    left, size, _ = np.linalg.svd(scores_GA, full_matrices=False)
    best_GE = left[:, :3] * size[:3]
    np.testing.assert_allclose(
        mapped_GE @ mapped_GE.T / (mapped_GE**2).sum(), best_GE @ best_GE.T / (best_GE**2).sum(), atol=1e-6
    )


def test_one_accent_leaves_the_map_and_the_head_as_they_were() -> None:
    model, fresh = encoder(2), encoder(2)
    begin_at_ridge(model.embedding, model.accent_head, *speakers([7]))
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, fresh.state_dict()[name]), name


def test_an_accent_without_a_training_speaker_keeps_its_random_direction() -> None:
    model, fresh = encoder(4), encoder(4)
    begin_at_ridge(model.embedding, model.accent_head, *speakers([5, 5, 5]))
    assert torch.equal(model.accent_head.direction_AE[3], fresh.accent_head.direction_AE[3])
    assert not torch.equal(model.accent_head.direction_AE[:3], fresh.accent_head.direction_AE[:3])
