"""Accent logits and reconstructed frames.

Shapes: B rows, U positions, H hidden channels, E embedding, A accents.
"""

import torch
import torch.nn.functional as F

from accent.model.heads import AccentHead, FamilyReconstruction


def test_accent_logits_are_scaled_cosines() -> None:
    torch.manual_seed(0)
    head, embedding_BE = AccentHead(8, 3, scale=16.0), F.normalize(torch.randn(5, 8), dim=1)
    expected = 16 * torch.cosine_similarity(embedding_BE[:, None], head.direction_AE[None], dim=-1)
    torch.testing.assert_close(head(embedding_BE), expected)


def test_a_reconstructed_frame_comes_from_its_own_position() -> None:
    torch.manual_seed(0)
    head, x_BUH = FamilyReconstruction(8, columns=3, subsampling=4), torch.randn(1, 5, 8)
    before = head(x_BUH, frames=18)
    x_BUH[0, 2] += 1
    changed = (head(x_BUH, frames=18) != before).any(dim=-1)[0]
    assert before.shape == (1, 18, 3)
    assert changed.nonzero().flatten().tolist() == [8, 9, 10, 11]
