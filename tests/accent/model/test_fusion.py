"""Fusion of the families, and subsampling in time.

Shapes: B rows, T frames, H hidden channels, F families.
"""

import pytest
import torch
import torch.nn.functional as F

from accent.model.fusion import Fusion, Subsampling
from tests.support.frame_masks import valid_frames


def test_a_family_with_all_the_weight_is_all_that_passes_the_fusion() -> None:
    torch.manual_seed(0)
    fusion = Fusion(3, 8)
    fusion.logits_F.data = torch.tensor([0.0, 60.0, 0.0])
    streams, valid = [torch.randn(1, 5, 8) for _ in range(3)], torch.ones(1, 5, dtype=torch.bool)
    fused, weights = fusion(streams, valid)
    torch.testing.assert_close(weights, torch.tensor([0.0, 1.0, 0.0]))
    changed, _ = fusion([streams[0] + 1, streams[1], streams[2] - 1], valid)
    torch.testing.assert_close(changed, fused)


def test_the_scale_of_a_stream_or_its_projection_does_not_change_its_share() -> None:
    torch.manual_seed(0)
    fusion = Fusion(2, 8)
    streams, valid = [torch.randn(1, 5, 8) for _ in range(2)], torch.ones(1, 5, dtype=torch.bool)
    fused, _ = fusion(streams, valid)
    for parameter in fusion.projections[0].parameters():
        parameter.data *= 50
    torch.testing.assert_close(fusion(streams, valid)[0], fused, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1, 2, 3, 7])
def test_subsampling_does_not_see_how_much_padding_there_is(factor: int, padding: int) -> None:
    torch.manual_seed(0)
    subsampling = Subsampling(4, factor).double()
    x_BTH = torch.randn(1, 10, 4, dtype=torch.float64)
    alone, valid_alone = subsampling(x_BTH, torch.ones(1, 10, dtype=torch.bool))
    padded, valid_padded = subsampling(F.pad(x_BTH, (0, 0, 0, padding)), valid_frames([10], 10 + padding))
    assert valid_alone.sum() == valid_padded.sum() == -(-10 // factor)
    torch.testing.assert_close(padded[:, : alone.shape[1]], alone, rtol=1e-12, atol=1e-12)
    assert (padded[:, alone.shape[1] :] == 0).all()
