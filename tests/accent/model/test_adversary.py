"""The speaker classifier behind the reversed gradient, against a gradient written by hand.

Shapes: B batch rows, E embedding, H hidden units, S speakers.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from accent.model.adversary import SpeakerAdversary, reversal_scale, reverse_gradient

ACCENTS = [0, 0, 0, 1, 1, 2]
ACCENT_B, SPEAKER_B = torch.tensor([0, 0, 1, 2, 1]), torch.tensor([0, 2, 4, 5, 3])


def adversary() -> SpeakerAdversary:
    torch.manual_seed(0)
    return SpeakerAdversary(8, ACCENTS, hidden=16).double()


def embeddings() -> torch.Tensor:
    return torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


def gradients_by_hand(head: SpeakerAdversary, x_BE: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    """Return the gradients of the mean cross entropy within the accents, by the chain rule in numpy."""
    first_HE, first_H, second_SH, second_S = (parameter.detach().numpy() for parameter in head.parameters())
    before_BH = x_BE @ first_HE.T + first_H
    hidden_BH = np.maximum(before_BH, 0)
    power_BS = np.exp(hidden_BH @ second_SH.T + second_S) * (ACCENT_B.numpy()[:, None] == np.array(ACCENTS))
    share_BS = power_BS / power_BS.sum(axis=1, keepdims=True)
    error_BS = (share_BS - np.eye(len(ACCENTS))[SPEAKER_B]) / len(x_BE)
    error_BH = (error_BS @ second_SH) * (before_BH > 0)
    return {
        "embedding": -scale * error_BH @ first_HE,
        "hidden.weight": error_BH.T @ x_BE,
        "hidden.bias": error_BH.sum(axis=0),
        "speakers.weight": error_BS.T @ hidden_BH,
        "speakers.bias": error_BS.sum(axis=0),
    }


@pytest.mark.parametrize("scale", [0.0, 0.3, 2.0])
def test_the_embedding_gets_the_reversed_gradient_and_the_classifier_its_own(scale):
    head, x_BE = adversary(), embeddings()
    F.cross_entropy(head(x_BE, ACCENT_B, scale), SPEAKER_B).backward()
    expected = gradients_by_hand(head, x_BE.detach().numpy(), scale)
    assert x_BE.grad is not None
    np.testing.assert_allclose(x_BE.grad, expected.pop("embedding"), atol=1e-14)
    for name, parameter in head.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected.pop(name), atol=1e-14)
    assert not expected


def test_a_step_down_the_reversed_gradient_hides_the_speakers():
    head, x_BE = adversary(), embeddings()
    loss = F.cross_entropy(head(x_BE, ACCENT_B, 1.0), SPEAKER_B)
    loss.backward()
    with torch.no_grad():
        after = F.cross_entropy(head(x_BE - 0.1 * x_BE.grad, ACCENT_B, 1.0), SPEAKER_B)
    assert after > loss


def test_speakers_of_other_accents_have_no_say_and_an_accent_of_one_speaker_none_at_all():
    head, x_BE = adversary(), embeddings()
    F.cross_entropy(head(x_BE[2:4], ACCENT_B[2:4], 1.0), SPEAKER_B[2:4]).backward()
    assert (head.speakers.weight.grad[[0, 1, 2, 5]] == 0).all()
    assert (head.speakers.weight.grad[3:5] != 0).any()
    assert (x_BE.grad[3] == 0).all(), "its accent has one speaker"
    assert (x_BE.grad[2] != 0).any()


def test_the_gradient_of_the_reversal_is_minus_the_scale_in_any_precision():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        x = torch.ones(3, dtype=dtype, requires_grad=True)
        made = reverse_gradient(x, 0.25)
        assert torch.equal(made, x)
        made.sum().backward()
        assert torch.equal(x.grad, torch.full((3,), -0.25, dtype=dtype))


def test_half_precision_weights_give_logits_in_full_precision():
    head = adversary().half()
    logits_BS = head(torch.randn(5, 8).half(), ACCENT_B, 1.0)
    assert logits_BS.dtype == torch.float32
    assert torch.equal(logits_BS.isfinite(), ACCENT_B[:, None] == torch.tensor(ACCENTS))


def test_the_reversal_sets_in_slowly():
    scales = [reversal_scale(progress, 0.5) for progress in np.linspace(0, 1, 11)]
    assert scales[0] == 0
    assert scales == sorted(scales)
    # The source writes 2 / (1 + exp(-10 p)) - 1.
    np.testing.assert_allclose(scales, [0.5 * (2 / (1 + np.exp(-10 * p)) - 1) for p in np.linspace(0, 1, 11)])


def test_nobody_to_tell_apart_is_refused():
    with pytest.raises(ValueError, match="no training speaker"):
        SpeakerAdversary(8, [])
