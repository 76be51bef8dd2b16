"""Both phone heads of a recogniser that is not trained any more, evaluated side by side.

A head is small: for some seconds of speech, calling its parts costs as much as their arithmetic.  Side by side, two
heads need half the calls.

Cost: as two heads; 0.6 of the time on a CPU for three seconds of speech.

Shapes: H = 2 heads, B batch rows, T frames, P positions, D columns, C channels, U units, S = 3 U states.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.model.layers import full_precision
from accent.model.phonetic.inventory import STATES_PER_UNIT
from accent.model.phonetic.phone_head import JOINED_FRAMES, PhoneHead, with_neighbours


class _Linear:
    """A linear map for each head."""

    def __init__(self, maps: Sequence[nn.Linear]) -> None:
        self._weight_HIO = torch.stack([one.weight.detach().T for one in maps]).contiguous()
        self._bias_H1O = torch.stack([one.bias.detach() for one in maps])[:, None]

    def __call__(self, x_HBPI: Tensor) -> Tensor:
        mapped_HNO = torch.baddbmm(self._bias_H1O, x_HBPI.flatten(1, 2), self._weight_HIO)
        return mapped_HNO.unflatten(1, x_HBPI.shape[1:3])


class _Norm:
    """Layer normalisation for each head."""

    def __init__(self, norms: Sequence[nn.LayerNorm]) -> None:
        self._weight_H11C = torch.stack([one.weight.detach() for one in norms])[:, None, None]
        self._bias_H11C = torch.stack([one.bias.detach() for one in norms])[:, None, None]
        self._eps = norms[0].eps

    def __call__(self, x_HBPC: Tensor) -> Tensor:
        normal_HBPC = F.layer_norm(x_HBPC, x_HBPC.shape[-1:], eps=self._eps)
        return torch.addcmul(self._bias_H11C, normal_HBPC, self._weight_H11C)


class BothHeads:
    """Two heads of one shape.

    Args:
        heads: their weights must not change from now on.
    """

    def __init__(self, heads: Sequence[PhoneHead]) -> None:
        self._first, self._last = _Linear([head.first for head in heads]), _Linear([head.last for head in heads])
        self._norm = _Norm([head.norm for head in heads])
        blocks = zip(*(head.neighbour_blocks for head in heads), strict=True)
        self._blocks = [
            (row[0].distance, _Norm([block.norm for block in row]), _Linear([block.mix for block in row]))
            for row in blocks
        ]
        self._heads, self._units = len(heads), heads[0].units

    @torch.no_grad()
    def states(self, read_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        """Return the mean of what the heads believe of each frame, `[B, T, S]`; arguments as for `PhoneHead`."""
        frames = read_BTD.shape[1]
        padding_BP1 = None
        if not bool(valid_BT.all()):
            read_BTD = read_BTD.masked_fill(~valid_BT.unsqueeze(-1), 0.0)
            whole_BT = F.pad(valid_BT, (0, frames % JOINED_FRAMES))
            padding_BP1 = ~whole_BT.unflatten(1, (-1, JOINED_FRAMES)).any(dim=2).unsqueeze(-1)
        x_BPC = F.pad(read_BTD, (0, 0, 0, frames % JOINED_FRAMES)).unflatten(1, (-1, JOINED_FRAMES)).flatten(2)
        x_HBPC = F.gelu(self._first(with_neighbours(x_BPC, 1).expand(self._heads, -1, -1, -1)))
        for distance, norm, mix in self._blocks:
            own_HBPC = norm(x_HBPC)
            if padding_BP1 is not None:
                own_HBPC = own_HBPC.masked_fill(padding_BP1, 0.0)
            x_HBPC = x_HBPC + F.gelu(mix(with_neighbours(own_HBPC, distance)))
        logits = self._last(self._norm(x_HBPC)).unflatten(3, (JOINED_FRAMES, -1)).flatten(2, 3)[:, :, :frames]
        unit_HBTU, third_HBT3 = full_precision(logits).split([self._units, STATES_PER_UNIT], dim=-1)
        unit_HBTU1, third_HBT13 = F.softmax(unit_HBTU, -1).unsqueeze(-1), F.softmax(third_HBT3, -1).unsqueeze(-2)
        total_BTU3 = unit_HBTU1[0] * third_HBT13[0]
        for unit_BTU1, third_BT13 in zip(unit_HBTU1[1:], third_HBT13[1:], strict=True):
            total_BTU3.addcmul_(unit_BTU1, third_BT13)
        return total_BTU3.flatten(-2).div_(self._heads)
