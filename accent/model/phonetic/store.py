"""Sums of utterances, kept once they are computed.

While a recogniser is frozen, the sums of an utterance never change; an embedding trained on them reads them from here
at every epoch but the first.  An utterance says few of all states, so only those it says are kept: about 60 KB an
utterance of four seconds.

Shapes: R rows, S states, U units, D columns, P states that occur.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from accent.model.phonetic.statistics import PhoneStatistics

LEAST_FRAMES = 1e-3
"""A state with less of an utterance is left out."""


class _Kept(NamedTuple):
    state_P: Tensor
    count_P: Tensor
    sum_PD: Tensor
    unit_Q: Tensor
    entered_Q: Tensor


class StatisticsStore:
    """Sums by utterance.

    Args:
        states: S.
        most_bytes: when so much is kept, nothing more is; what is not kept is computed again.
    """

    def __init__(self, states: int, most_bytes: int = 8 << 30) -> None:
        self.states, self.most_bytes = states, most_bytes
        self._kept: dict[int, _Kept] = {}
        self._bytes = 0

    def __contains__(self, utterance: int) -> bool:
        return utterance in self._kept

    def keep(self, utterances: Sequence[int], statistics: PhoneStatistics) -> None:
        """Keep the sums of utterances, a row each.

        Args:
            utterances: a number for each.
            statistics: their sums, in the same order.
        """
        count_RS, sum_RSD, entered_RU = (part.detach().cpu() for part in statistics)
        for row, utterance in enumerate(utterances):
            if utterance in self._kept or self._bytes >= self.most_bytes:
                continue
            state_P = (count_RS[row] > LEAST_FRAMES).nonzero().squeeze(1)
            unit_Q = (entered_RU[row] > LEAST_FRAMES).nonzero().squeeze(1)
            kept = _Kept(
                state_P.to(torch.int32), count_RS[row, state_P].float(), sum_RSD[row, state_P].float(),
                unit_Q.to(torch.int32), entered_RU[row, unit_Q].float(),
            )  # fmt: skip
            self._kept[utterance] = kept
            self._bytes += sum(part.numel() * part.element_size() for part in kept)

    def sums(self, utterances: Sequence[int]) -> PhoneStatistics:
        """Return the sums of utterances that are kept, a row each, float32.

        Raises:
            KeyError: one is not kept.
        """
        kept = [self._kept[utterance] for utterance in utterances]
        columns = kept[0].sum_PD.shape[1]
        count_RS = torch.zeros(len(kept), self.states)
        sum_RSD = torch.zeros(len(kept), self.states, columns)
        entered_RU = torch.zeros(len(kept), self.states // 3)
        for row, one in enumerate(kept):
            count_RS[row, one.state_P.long()] = one.count_P
            sum_RSD[row, one.state_P.long()] = one.sum_PD.float()
            entered_RU[row, one.unit_Q.long()] = one.entered_Q
        return PhoneStatistics(count_RS, sum_RSD, entered_RU)
