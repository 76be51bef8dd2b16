"""Phone heads that never judge a speaker they were trained on, and the chain that brings their frames together.

Statistics of a training speaker must come from posteriors as good as those of a speaker never heard, not better.  So
there are two heads; each is trained on half of the training speakers, and the other half is read by it.  Speakers who
trained neither are read by both, and their posteriors averaged.

Cost: two heads a frame where both read it, then forward-backward on the CPU.

Shapes: B batch rows, T frames, D columns, U units, S = 3 U states, P phones.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from accent.features.phones import PHONES
from accent.features.schema import family_slices
from accent.model.phonetic.chain import Decoder, UnitChain
from accent.model.phonetic.inventory import STATES_PER_UNIT, Inventory
from accent.model.phonetic.phone_head import PhoneHead, PhoneLogits

HALVES = 2
"""Heads, each trained on the speakers of one half."""
BOTH = -1
"""Half of a speaker who trained neither head."""
FAMILIES = ("mfcc", "spectral", "prosody", "formants")
"""Feature families that the heads read."""
LIMIT = 6.0
"""Standard deviations at which what the heads read is cut off."""


class PhoneRecogniser(nn.Module):
    """Frames to probabilities of states, and how often each unit was said.

    Args:
        inventory: the units.
        channels: of each head.
        dropout: of each head.
    """

    def __init__(self, inventory: Inventory, channels: int, dropout: float) -> None:
        super().__init__()
        slices = family_slices()
        columns = [at for name in FAMILIES for at in range(slices[name].start, slices[name].stop)]
        units = len(inventory)
        self.inventory = inventory
        self.heads = nn.ModuleList(PhoneHead(len(columns), units, channels, dropout) for _ in range(HALVES))
        self.columns_D: Tensor
        self.phone_S: Tensor
        self.register_buffer("columns_D", torch.tensor(columns), persistent=False)
        phone_S = torch.from_numpy(inventory.phone_U).repeat_interleave(STATES_PER_UNIT)
        self.register_buffer("phone_S", phone_S, persistent=False)
        self.transition_UU: Tensor
        self.stay_S: Tensor
        self.prior_S: Tensor
        self.initial_U: Tensor
        for name, values in (
            ("transition_UU", torch.full((units, units), 1 / units)),
            ("stay_S", torch.full((inventory.n_states,), 0.6)),
            ("prior_S", torch.full((inventory.n_states,), 1 / inventory.n_states)),
            ("initial_U", torch.full((units,), 1 / units)),
        ):
            self.register_buffer(name, values)

    def set_chain(self, chain: UnitChain) -> None:
        """Take over how units follow one another, as measured on the training alignments."""
        for name, values in chain._asdict().items():
            getattr(self, name).copy_(torch.from_numpy(values))

    def logits(self, half: int, values_BTD: Tensor, valid_BT: Tensor) -> PhoneLogits:
        """Return what one head believes.

        Args:
            half: which head.
            values_BTD: all normalised columns of the schema, 0 where undefined.
            valid_BT: true for real frames.
        """
        logits: PhoneLogits = self.heads[half](self.read_columns(values_BTD), valid_BT)
        return logits

    def read_columns(self, values_BTD: Tensor) -> Tensor:
        """Return what the heads read of normalised columns."""
        return values_BTD.index_select(-1, self.columns_D).clamp(-LIMIT, LIMIT)

    @torch.no_grad()
    def posteriors(self, values_BTD: Tensor, valid_BT: Tensor, half_B: Tensor | None = None) -> Tensor:
        """Return the posterior of each state at each frame by itself, `[B, T, S]`.

        Args:
            values_BTD: as for `logits`.
            valid_BT: as for `logits`.
            half_B: half that each row's speaker trained, which does not read it; `BOTH` where none; None: all `BOTH`.
        """
        by_head = [self.logits(half, values_BTD, valid_BT).states() for half in range(HALVES)]
        if half_B is None:
            return by_head[0].add_(by_head[1]).div_(2)
        # A speaker of half 0 is read only by head 1.
        share_B11 = torch.where(half_B == BOTH, 0.5, (half_B == 1).to(torch.float32))[:, None, None]
        return by_head[0] * share_B11 + by_head[1] * (1 - share_B11)

    def by_phone(self, posterior_BTS: Tensor) -> Tensor:
        """Return posteriors of phones, `[B, T, P]`, P as in `PHONES`."""
        shape = (*posterior_BTS.shape[:-1], len(PHONES))
        return posterior_BTS.new_zeros(shape).index_add_(-1, self.phone_S, posterior_BTS)

    def decoder(self) -> Decoder:
        """Return the chain ready for use, as it is now; what decodes many utterances makes it once."""
        return Decoder(UnitChain(*(getattr(self, name).cpu().numpy() for name in UnitChain._fields)))

    @torch.no_grad()
    def smooth(self, posterior_BTS: Tensor, valid_BT: Tensor, decoder: Decoder | None = None) -> tuple[Tensor, Tensor]:
        """Return what is probable given each whole utterance.

        Args:
            posterior_BTS: of each frame by itself.
            valid_BT: true for real frames, which come before the padding.
            decoder: of `decoder`; None makes one.

        Returns:
            occupancy_BTS: probability of each state, 0 in padding.
            entered_BTU: expected number of entries into each unit at each frame, 0 in padding.
        """
        decoder = self.decoder() if decoder is None else decoder
        frames_B = valid_BT.sum(1).tolist()
        posteriors = posterior_BTS.float().cpu().numpy()
        occupancy = np.zeros(posteriors.shape, np.float32)
        entered = np.zeros((*posteriors.shape[:2], len(self.inventory)), np.float32)

        def one(row: int) -> None:
            real = slice(frames_B[row])
            if frames_B[row]:
                occupancy[row, real], entered[row, real] = decoder.smooth(posteriors[row, real])

        threads = min(torch.get_num_threads(), len(posteriors))
        if threads == 1:
            for row in range(len(posteriors)):
                one(row)
        else:
            # The kernel holds no lock, so rows are worked on side by side, by as many threads as torch may use.
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, range(len(posteriors))))
        device = posterior_BTS.device
        return torch.from_numpy(occupancy).to(device), torch.from_numpy(entered).to(device)
