"""The objective of pretraining without labels: the hidden frames of every family, told from the frames around them.

Scaled so that N ranks train as one process would; one collective a step.

Shapes: B rows of this rank, T frames, D columns, F families.
"""

import torch
from torch import Tensor, nn

from accent.losses.gather import all_reduce_sum, world_size
from accent.losses.reconstruction import reconstruction_loss
from accent.model.encoder import EncoderOutput


class MaskedReconstruction(nn.Module):
    """Mean error over the hidden values of each family, then over the families; holds no weights."""

    def forward(
        self, output: EncoderOutput, hidden_BT: Tensor, row_valid_B: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the objective; a collective, called by every rank at every step.

        Args:
            output: of the encoder, which has not seen the hidden frames.
            hidden_BT: true where a frame was hidden.
            row_valid_B: false for rows that only fill the batch.

        Returns:
            The scalar to call `backward` on, whose mean over ranks is the loss of the global batch; and by name, the
            same on every rank and without gradient, `total` and `explained`: 0 where the error is that of always
            telling the mean, 1 where nothing is left of it.
        """
        total_F, mean_F, counted_F = hidden_errors(output, hidden_BT, row_valid_B)
        local = torch.cat([total_F.detach(), mean_F, counted_F])
        sum_F, mean_sum_F, tally_F = all_reduce_sum(local).chunk(3)
        divisor_F = tally_F.clamp(min=1) * (tally_F > 0).sum().clamp(min=1)
        report = {
            "total": (sum_F / divisor_F).sum(),
            "explained": 1 - (sum_F / divisor_F).sum() / (mean_sum_F / divisor_F).sum().clamp(min=1e-9),
        }
        return (total_F * (world_size() / divisor_F)).sum(), report


def hidden_errors(output: EncoderOutput, hidden_BT: Tensor, row_valid_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each family, the error summed over the hidden values, that of telling the mean, and their count."""
    target_BTD, mask_BTD = output.target_BTD, output.target_mask_BTD & hidden_BT[..., None]
    families = len(output.fusion_weights_F)
    told, mean = (
        reconstruction_loss(guess_BTD, target_BTD, mask_BTD, output.family_D, families, row_valid_B)
        for guess_BTD in (output.reconstruction_BTD, torch.zeros_like(output.reconstruction_BTD))
    )
    return told.total, mean.total, told.counted
