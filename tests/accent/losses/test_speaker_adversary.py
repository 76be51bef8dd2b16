"""The loss of the speaker head against scikit-learn's log loss within each accent, and as a part of the objective."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from accent.losses import AccentObjective, LossConfig, RowOutputs
from accent.losses.speaker_adversary import AdversaryLoss
from accent.model.adversary import reversal_scale

ACCENT_OF = {2: 0, 3: 0, 5: 1, 6: 1, 9: 2}
"""Numbers with gaps: other speakers of the shard set do not train.  The third accent has one speaker."""
SPEAKER_B = torch.tensor([2, 3, 6, 9, 4, 2, 40, 5])
ACCENT_B = torch.tensor([0, 0, 1, 2, 0, 0, 1, 1])
VALID_B = torch.tensor([True, True, True, True, True, False, True, True])
COUNTED = [0, 1, 2, 7]


def made(weight: float = 0.5) -> AdversaryLoss:
    torch.manual_seed(0)
    return AdversaryLoss(8, ACCENT_OF, weight).double()


def embeddings() -> torch.Tensor:
    x_BE = torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.normalize(x_BE, dim=1).requires_grad_()


def test_only_training_speakers_who_have_company_count_and_their_loss_is_the_log_loss_within_the_accent():
    adversary, x_BE = made(), embeddings()
    found = adversary(x_BE, SPEAKER_B, VALID_B)
    share_BS = adversary.head(x_BE, ACCENT_B, 0.0).softmax(1).detach().numpy()
    classes = sorted(ACCENT_OF)
    label_B = SPEAKER_B[COUNTED].numpy()
    assert found.loss.counted == len(COUNTED)
    expected = log_loss(label_B, share_BS[COUNTED], labels=classes, normalize=False)
    assert found.loss.total.item() == pytest.approx(expected, rel=1e-12)
    assert found.right == (np.array(classes)[share_BS[COUNTED].argmax(1)] == label_B).sum()


def test_the_embedding_gets_the_gradient_reversed_by_weight_and_progress():
    def gradient(weight: float, progress: float) -> torch.Tensor:
        adversary, x_BE = made(weight), embeddings()
        adversary.progress = progress
        adversary(x_BE, SPEAKER_B, VALID_B).loss.total.backward()
        assert all(parameter.grad.any() for parameter in adversary.parameters())
        others = [row for row in range(8) if row not in COUNTED]
        assert not x_BE.grad[others].any()
        return x_BE.grad

    assert not gradient(0.5, 0.0).any()
    full = gradient(1.0, 1.0) / reversal_scale(1.0, 1.0)
    torch.testing.assert_close(gradient(0.5, 0.2), full * reversal_scale(0.2, 0.5))


def test_a_batch_without_a_row_that_counts_still_reaches_every_weight():
    adversary, x_BE = made(), embeddings()
    found = adversary(x_BE, SPEAKER_B, torch.zeros(8, dtype=torch.bool))
    found.loss.total.backward()
    assert found.loss.total == 0 and found.loss.counted == 0
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in adversary.parameters())


def test_speakers_who_are_alone_in_their_accents_are_refused():
    with pytest.raises(ValueError, match="no accent has two training speakers"):
        AdversaryLoss(8, {0: 0, 1: 1}, 0.5)


def test_the_objective_adds_the_heads_loss_at_full_strength_and_reports_its_accuracy():
    x_BE = embeddings()
    rows = RowOutputs(x_BE, torch.zeros(8, 3).double(), torch.zeros(2).double(), torch.ones(2).double())
    labels = (ACCENT_B, SPEAKER_B, torch.arange(8), VALID_B)
    _, without = AccentObjective(LossConfig())(rows, *labels)
    total, report = AccentObjective(LossConfig(adversary=0.1), adversary=made(0.1))(rows, *labels)
    assert not {"adversary", "speaker_accuracy"} & set(without)
    assert report["total"].item() == pytest.approx((without["total"] + report["adversary"]).item(), rel=1e-9)
    assert total.item() == pytest.approx(report["total"].item(), rel=1e-9)
    found = made()(x_BE, SPEAKER_B, VALID_B)
    assert report["speaker_accuracy"].item() == pytest.approx(found.right.item() / len(COUNTED))


def test_a_weight_without_a_head_is_refused():
    with pytest.raises(ValueError, match=r"losses\.adversary"):
        AccentObjective(LossConfig(adversary=0.1))
