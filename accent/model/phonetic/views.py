"""What of a speaker's sums may carry the accent, and in what detail: one table a view.

A view is a set of columns, summed up at one level of detail:

    spectrum     MFCC and their slopes        by thirds of each phone; in context: of each phone after each other
    formants     F1-F4, bandwidths, slopes    the same
    voice        pitch, intensity, quality    the same
    confusion    log-posteriors of phones     by thirds of each phone; in context: by phone after each other
    duration     logarithm of the length      by phone, alone and after each other, relative to the speaker's rate

Coarse tables are steady with few training speakers, fine ones say more with many; `ModelConfig.views` chooses.

Shapes: R rows, S states, U units, P phones, D columns, K cells of a view's table, C columns of a view.

Source: Huckvale 2004, "ACCDIST", and Brown 2015, "Y-ACCDIST", for accents as relations between a speaker's own phones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from accent.features.schema import family_slices
from accent.model.layers import slopes
from accent.model.phonetic.inventory import SILENCE_NUMBER, STATES_PER_UNIT, Inventory
from accent.model.phonetic.statistics import PhoneStatistics

Level = Literal["phone", "unit", "state"]
SLOPE_FAMILIES = ("mfcc", "formants", "prosody")
"""Families whose slopes over time come beside their columns."""
POSTERIOR_FLOOR = 1e-4
"""Added to a phone's posterior before its logarithm."""


@dataclass(frozen=True)
class View:
    """One table of a speaker's speech."""

    name: str
    """What fusion weights call it."""
    level: Level
    """`phone`: thirds of phones; `unit`: phones in their left context, as a whole; `state`: thirds of these."""
    columns: tuple[str, ...]
    """Groups of frame columns; none for durations."""
    weight: float
    """Share in the embedding's input that training begins with, among all views."""


VIEWS: tuple[View, ...] = (
    View("spectrum", "phone", ("mfcc", "mfcc_slopes"), 0.2),
    View("formants", "phone", ("formants", "formants_slopes"), 0.15),
    View("voice", "phone", ("prosody", "prosody_slopes", "voice"), 0.15),
    View("spectrum_in_context", "state", ("mfcc", "mfcc_slopes"), 0.3),
    View("formants_in_context", "state", ("formants", "formants_slopes"), 0.15),
    View("voice_in_context", "state", ("prosody", "prosody_slopes", "voice"), 0.2),
    View("confusion", "phone", ("confusion",), 0.25),
    View("confusion_in_context", "unit", ("confusion",), 0.4),
    View("duration", "unit", (), 0.45),
)
"""All there can be, in the order of `accent.model.config.VIEW_NAMES`."""


def chosen_views(names: Sequence[str]) -> tuple[View, ...]:
    """Return the views of these names, in the order of `VIEWS`."""
    return tuple(view for view in VIEWS if view.name in names)


class FrameColumns(nn.Module):
    """The columns that are summed: normalised features, their slopes, log-posteriors of phones.

    Args:
        views: those whose columns are summed.
        phones: how many phones the posteriors are of.
    """

    def __init__(self, views: Sequence[View], phones: int) -> None:
        super().__init__()
        slices = family_slices()
        used = list(dict.fromkeys(group.removesuffix("_slopes") for view in views for group in view.columns))
        self._sources = {name: slices[name] for name in used if name in slices}
        self.groups: dict[str, slice] = {}
        """Where each group lies among the columns."""
        at = 0
        for name, where in self._sources.items():
            for group in (name, f"{name}_slopes") if name in SLOPE_FAMILIES else (name,):
                self.groups[group] = slice(at, at + where.stop - where.start)
                at = self.groups[group].stop
        self.groups["confusion"] = slice(at, at + phones)
        self.count = at + phones

    def of(self, view: View) -> slice:
        """Return where a view's columns lie: side by side, which makes taking them cheap.

        Raises:
            ValueError: they do not lie side by side.
        """
        groups = [self.groups[group] for group in view.columns]
        if any(one.stop != other.start for one, other in pairwise(groups)):
            raise ValueError(f"view {view.name}: its columns {', '.join(view.columns)} do not lie side by side")
        return slice(groups[0].start, groups[-1].stop)

    def forward(self, values_BTD: Tensor, defined_BTD: Tensor, phone_posterior_BTP: Tensor) -> Tensor:
        """Lay the columns side by side.

        Args:
            values_BTD: normalised columns of the schema, 0 where undefined.
            defined_BTD: true where a value is defined.
            phone_posterior_BTP: what the head believes of each frame by itself.

        Returns:
            `[B, T, count]`, float32 or better.
        """
        parts = {name: values_BTD[..., where] for name, where in self._sources.items()}
        moving = [name for name in self._sources if name in SLOPE_FAMILIES]
        if moving:
            # All families at once: for so few columns a call costs more than its arithmetic.
            defined = torch.cat([defined_BTD[..., self._sources[name]] for name in moving], dim=-1)
            slope = slopes(torch.cat([parts[name] for name in moving], dim=-1), defined)
            widths = [parts[name].shape[-1] for name in moving]
            parts |= zip((f"{name}_slopes" for name in moving), slope.split(widths, dim=-1), strict=True)
        parts["confusion"] = (phone_posterior_BTP + POSTERIOR_FLOOR).log()
        return torch.cat([parts[group] for group in self.groups], dim=-1)

    def defined(self, defined_BTD: Tensor) -> Tensor:
        """Return which of the columns that are no slopes and no posteriors are defined, as numbers, in their order."""
        return torch.cat([defined_BTD[..., where] for where in self._sources.values()], dim=-1).to(torch.float32)

    def rescaled(self, sum_RSC: Tensor, defined_RSM: Tensor, factor_D: Tensor, offset_D: Tensor) -> Tensor:
        """Return what the sums would be if each value had been normalised to factor x value + offset.

        Args:
            sum_RSC: sums of the columns.
            defined_RSM: sums of `defined`.
            factor_D: of each column of the schema.
            offset_D: of each column of the schema.
        """
        rescaled_RSC, at = sum_RSC.clone(), 0
        for name, where in self._sources.items():
            group, width = self.groups[name], where.stop - where.start
            defined = defined_RSM[..., at : at + width]
            rescaled_RSC[..., group] = sum_RSC[..., group] * factor_D[where] + defined * offset_D[where]
            if name in SLOPE_FAMILIES:
                rescaled_RSC[..., self.groups[f"{name}_slopes"]] *= factor_D[where]
            at += width
        return rescaled_RSC


class Cells(nn.Module):
    """Which cell of each level's table every state belongs to; silence belongs to none.

    Args:
        inventory: the units.
    """

    def __init__(self, inventory: Inventory) -> None:
        super().__init__()
        speech_U = inventory.phone_U != SILENCE_NUMBER
        phones = sorted(set(inventory.phone_U[speech_U].tolist()))
        place = torch.full((max(phones) + 1,), -1)
        place[torch.tensor(phones)] = torch.arange(len(phones))
        phone_U = place[torch.from_numpy(inventory.phone_U)]
        third_S = torch.arange(STATES_PER_UNIT).repeat(len(inventory))
        self.counts: dict[Level, int] = {
            "phone": STATES_PER_UNIT * len(phones),
            "unit": int(speech_U.sum()),
            "state": STATES_PER_UNIT * int(speech_U.sum()),
        }
        self.phone_S: Tensor
        self.unit_phone_U: Tensor
        # Silence is unit 0, so speech is what comes after it.
        self.register_buffer(
            "phone_S", (phone_U.repeat_interleave(STATES_PER_UNIT) * STATES_PER_UNIT + third_S)[STATES_PER_UNIT:],
            persistent=False,
        )  # fmt: skip
        self.register_buffer("unit_phone_U", phone_U[1:], persistent=False)
        self.n_phones = len(phones)

    def sums(self, statistics: PhoneStatistics, level: Level, columns: slice) -> tuple[Tensor, Tensor]:
        """Return counts [R, K] and sums [R, K, C] of a level's cells.

        Args:
            statistics: of R rows.
            level: how finely speech is divided.
            columns: where the columns wanted lie.
        """
        count_RS = statistics.count_RS[:, STATES_PER_UNIT:]
        sum_RSC = statistics.sum_RSD[:, STATES_PER_UNIT:, columns]
        if level == "state":
            return count_RS, sum_RSC
        if level == "unit":
            thirds = (-1, STATES_PER_UNIT)
            return count_RS.unflatten(1, thirds).sum(2), sum_RSC.unflatten(1, thirds).sum(2)
        cells = self.counts["phone"]
        count_RK = count_RS.new_zeros(len(count_RS), cells).index_add_(1, self.phone_S, count_RS)
        sum_RKC = sum_RSC.new_zeros(len(count_RS), cells, sum_RSC.shape[2]).index_add_(1, self.phone_S, sum_RSC)
        return count_RK, sum_RKC

    def log_lengths(self, statistics: PhoneStatistics) -> tuple[Tensor, Tensor]:
        """Return how often each phone and each unit was said [R, P + U], and the log of its mean length in frames."""
        entered_RU = statistics.entered_RU[:, 1:]
        frames_RU = statistics.count_RS[:, STATES_PER_UNIT:].unflatten(1, (-1, STATES_PER_UNIT)).sum(2)
        rows = len(entered_RU)
        by_phone = [
            part.new_zeros(rows, self.n_phones).index_add_(1, self.unit_phone_U, part)
            for part in (entered_RU, frames_RU)
        ]
        entered = torch.cat([by_phone[0], entered_RU], dim=1)
        frames = torch.cat([by_phone[1], frames_RU], dim=1)
        return entered, ((frames + 1e-3) / (entered + 1e-3)).clamp(min=1.0).log()
