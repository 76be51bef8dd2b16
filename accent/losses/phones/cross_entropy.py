"""Cross-entropy of a phone head: of the unit, of the phone whichever unit of it, and of the third.

Cost: frames x units.

Shapes: B batch rows, T frames, U units, P phones, F labelled frames.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from accent.features.phones import PHONES
from accent.losses.pairs import RowLoss
from accent.model.layers import full_precision
from accent.model.phonetic.inventory import STATES_PER_UNIT
from accent.model.phonetic.phone_head import PhoneLogits

LABEL_SMOOTHING = 0.05
"""Share of the target probability spread over all units."""
LEAST_PROBABILITY = 1e-8
UNIT, PHONE, THIRD = 1.0, 1.0, 0.5
"""Weights of the three."""


def phone_cross_entropy(logits: PhoneLogits, state_BT: Tensor, phone_U: Tensor) -> RowLoss:
    """Sum the loss over labelled frames.

    Args:
        logits: of a head.
        state_BT: state of each frame, below 0 where there is no label.
        phone_U: phone of each unit.

    Returns:
        Sum and count over the labelled frames; without any, a zero that still reaches every weight of the head.

    Example:
        >>> logits = PhoneLogits(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3))
        >>> phone_cross_entropy(logits, torch.tensor([[4, -1]]), torch.tensor([0, 1, 1])).counted
        tensor(1)
    """
    with torch.autocast(state_BT.device.type, enabled=False):
        labelled_BT = state_BT >= 0
        state_F = state_BT[labelled_BT]
        unit_F, third_F = state_F // STATES_PER_UNIT, state_F % STATES_PER_UNIT
        unit_FU = full_precision(logits.unit_BTU[labelled_BT])
        unit_loss = F.cross_entropy(unit_FU, unit_F, reduction="sum", label_smoothing=LABEL_SMOOTHING)
        third_loss = F.cross_entropy(full_precision(logits.third_BT3[labelled_BT]), third_F, reduction="sum")
        phone_FP = unit_FU.new_zeros(len(state_F), len(PHONES)).index_add_(1, phone_U, unit_FU.softmax(-1))
        said_F = phone_FP.gather(1, phone_U[unit_F].unsqueeze(1)).clamp(min=LEAST_PROBABILITY)
        total = UNIT * unit_loss - PHONE * said_F.log().sum() + THIRD * third_loss
        # Sums over no frame have no gradient, and a weight without one stalls data-parallel training.
        # Sums over no row, not over all times zero: 0 x NaN is NaN.
        total = total + logits.unit_BTU[:0].sum() + logits.third_BT3[:0].sum()
        return RowLoss(total, labelled_BT.sum())
