"""CTC of a phone head: how likely it finds the phones of a transcript, in order, at whatever times.

The posteriors of the units are added up to phones; silence is the blank, so that it may stand between any two phones
and count for nothing.  Plain CTC would call most of speech silence; posteriors are therefore divided by a power of the
phones' frequencies.  Thirds of phones, which need times, are left alone.

Source: Graves et al., "Connectionist temporal classification", ICML 2006; Huang et al., "Less peaky and more accurate
CTC forced alignment by label priors", ICASSP 2024.
Cost: frames x phones of the transcript, on top of the head.

Shapes: B batch rows, T frames, U units, P phones, L phones of a transcript.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from accent.features.phones import PHONES
from accent.losses.pairs import RowLoss
from accent.model.layers import full_precision
from accent.model.phonetic.inventory import SILENCE_NUMBER
from accent.model.phonetic.phone_head import PhoneLogits

LEAST_PROBABILITY = 1e-8
"""Added to every phone's, so that no frame can make a transcript impossible."""
PRIOR_POWER = 0.5
"""Power of the phones' frequencies by which posteriors are divided."""


def phone_ctc(
    logits: PhoneLogits, frames_B: Tensor, labels: Sequence[Tensor], phone_U: Tensor, prior_P: Tensor
) -> RowLoss:
    """Sum the loss over rows.

    Args:
        logits: of a head, for rows that hold whole utterances; there may be no row.
        frames_B: real frames of each row, at least as many as it has labels.
        labels: for each row the phones of its transcript, int64 [L], silence and equal neighbours left out.
        phone_U: phone of each unit.
        prior_P: share of each phone in speech; 0 where a phone has no unit.

    Returns:
        Sum over the rows of minus the log-likelihood, and the count of their frames.
    """
    with torch.autocast(logits.unit_BTU.device.type, enabled=False):
        unit_BTU = full_precision(logits.unit_BTU).softmax(-1)
        if not labels:
            return RowLoss(unit_BTU[:0].sum(), torch.zeros((), dtype=torch.int64, device=unit_BTU.device))
        phone_BTP = unit_BTU.new_zeros(*unit_BTU.shape[:2], len(PHONES)).index_add_(2, phone_U, unit_BTU)
        prior_P = prior_P.to(phone_BTP.dtype).clamp(min=LEAST_PROBABILITY)
        score_BTP = (phone_BTP + LEAST_PROBABILITY).log() - PRIOR_POWER * prior_P.log()
        lengths_B = torch.tensor([len(one) for one in labels], device=unit_BTU.device)
        loss_B = F.ctc_loss(
            score_BTP.transpose(0, 1),
            torch.cat(list(labels)),
            frames_B,
            lengths_B,
            blank=SILENCE_NUMBER,
            reduction="none",
        )
        # torch's gradient is that of a softmax before it: exp(score) too much where scores do not sum to one.
        real_BT1 = (torch.arange(score_BTP.shape[1], device=frames_B.device) < frames_B[:, None]).unsqueeze(-1)
        surplus = torch.where(real_BT1, score_BTP, -torch.inf).exp().sum()
        return RowLoss(loss_B.sum() - surplus + surplus.detach(), frames_B.sum())
