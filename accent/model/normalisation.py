"""From physical units with gaps to numbers around zero without gaps, and a mask that says where the gaps were.

What a value is measured against is a choice (`ModelConfig.normalisation`):

    corpus       mean and standard deviation of the column over all training speakers.
    speaker      those of the speaker's own voice, over all recordings of it that there are; for formants these are
                 Lobanov's z-scores.  F0 is in semitones from the speaker's median.
    utterance    as `speaker`, of only the utterance's own frames.  A training crop knows only its few seconds, a whole
                 utterance more: what the model meets in use is a little steadier than what it learnt from.

F0 is not divided by the voice's own deviation but by the mean one of the training speakers: how far a voice moves, in
semitones, is part of an accent; how high it lies is not.

A voice of which little was heard is measured against the training speakers instead, column by column: of `count`
defined frames, the voice's own mean and variance weigh min(1, count / OWN_FRAMES) and the corpus's the rest.  From
one second of defined frames on, only the voice's own statistics count, so a constant added to a column, or a factor,
cancels exactly.

No accent label is needed for a voice's statistics, so a test speaker may have them too; they are no part of the
corpus's.

Undefined values are replaced before any arithmetic: NaN x 0 is NaN, also in gradients.  The corpus's statistics are
buffers, so they travel with the weights.  Cost: a few passes over the batch; to measure a voice, a sort of F0 besides.

Shapes: B batch rows, T frames, D columns, S speakers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from accent.features.schema import column_index
from accent.model.config import Mode
from accent.model.layers import full_precision

LIMIT = 10.0
"""Standard deviations from the mean at which a value is cut off: a tracking error must not dominate the gradient."""
OWN_FRAMES = 100
"""With so many defined frames of a column, only the voice's own statistics count."""
LEAST_SPREAD = 0.05
"""The smallest deviation that a voice's column is divided by, as a share of the corpus's: what hardly moves is not
blown up to noise."""
_F0 = column_index("f0_hz")


class VoiceStatistics(NamedTuple):
    """What is known of voices, one a row, in the columns' units but for F0: semitones above 1 Hz."""

    count_SD: Tensor
    """Defined frames."""
    centre_SD: Tensor
    """Their mean, of F0 their median; finite, without meaning where nothing is defined."""
    spread_SD: Tensor
    """Their standard deviation from the centre; finite, without meaning where nothing is defined."""

    def rows(self, speaker_B: Tensor) -> "VoiceStatistics":
        """Return the voices of a batch, given the position of each row's speaker."""
        return VoiceStatistics(*(part[speaker_B] for part in self))

    def to(self, device: torch.device | str) -> "VoiceStatistics":
        """Return the same on a device."""
        return VoiceStatistics(*(part.to(device) for part in self))


def semitones(hz: Tensor) -> Tensor:
    """Return frequencies, which must be positive, in semitones above 1 Hz."""
    return 12 * torch.log2(hz)


def measure_voices(frames_BTD: Tensor, valid_BT: Tensor) -> VoiceStatistics:
    """Measure a voice from each row: an utterance, or all recordings of a speaker one after the other.

    Args:
        frames_BTD: all columns of the schema in physical units, NaN where undefined; anything in padding.
        valid_BT: true for real frames.

    Returns:
        Counts, centres and spreads of the defined values, one voice a row, in float32 or better.
    """
    frames_BTD = full_precision(frames_BTD)
    return _measure(*_with_semitones(frames_BTD, _defined(frames_BTD, valid_BT)))


def _defined(frames_BTD: Tensor, valid_BT: Tensor) -> Tensor:
    return frames_BTD.isfinite() & valid_BT.unsqueeze(-1)


def _with_semitones(frames_BTD: Tensor, defined_BTD: Tensor) -> tuple[Tensor, Tensor]:
    """Turn F0 from Hz to semitones; an F0 that is not positive is none.  Undefined values come out as they went in."""
    frames_BTD, defined_BTD = frames_BTD.clone(), defined_BTD.clone()
    f0_BT = frames_BTD[..., _F0]
    defined_BTD[..., _F0] &= f0_BT > 0
    frames_BTD[..., _F0] = semitones(torch.where(defined_BTD[..., _F0], f0_BT, 1.0))
    return frames_BTD, defined_BTD


def _measure(values_BTD: Tensor, defined_BTD: Tensor) -> VoiceStatistics:
    values_BTD = values_BTD.masked_fill(~defined_BTD, 0.0)
    count_BD = defined_BTD.sum(dim=1).to(values_BTD.dtype)
    divisor_BD = count_BD.clamp(min=1.0)
    centre_BD = values_BTD.sum(dim=1) / divisor_BD
    centre_BD[:, _F0] = _median(values_BTD[..., _F0], defined_BTD[..., _F0])
    distance_BTD = (values_BTD - centre_BD.unsqueeze(1)).masked_fill(~defined_BTD, 0.0)
    return VoiceStatistics(count_BD, centre_BD, ((distance_BTD**2).sum(dim=1) / divisor_BD).sqrt())


def _median(values_BT: Tensor, defined_BT: Tensor) -> Tensor:
    """Return the median of each row's defined values, of an even number the mean of the middle two; 0 without any."""
    sorted_BT = values_BT.masked_fill(~defined_BT, torch.inf).sort(dim=1).values
    count_B1 = defined_BT.sum(dim=1, keepdim=True)
    middle_B2 = torch.cat([(count_B1 - 1).clamp(min=0) // 2, count_B1 // 2], dim=1).clamp(max=values_BT.shape[1] - 1)
    return sorted_BT.gather(1, middle_B2).mean(dim=1).masked_fill(count_B1.squeeze(1) == 0, 0.0)


class Normalisation(nn.Module):
    """Mean and standard deviation of every column, and their use.

    The statistics stay in float32 or better when the model is cast to half precision: formant frequencies in bfloat16
    would be off by tens of Hz.

    Args:
        columns: how many there are: the schema's, unless values are measured against the corpus.
        mode: what a value is measured against.
    """

    def __init__(self, columns: int, mode: Mode = "corpus") -> None:
        super().__init__()
        self.mode = mode
        self.mean_D: Tensor
        self.std_D: Tensor
        self.register_buffer("mean_D", torch.zeros(columns))
        self.register_buffer("std_D", torch.ones(columns))

    def set(self, mean_D: Any, std_D: Any) -> None:
        """Take over statistics of the training speakers.

        Args:
            mean_D: mean of each column, in its unit: a tensor or an array.  Of F0, if values are measured against a
                voice, the median in semitones above 1 Hz.
            std_D: standard deviation of each column.  A column that never varies or was never defined (0 or NaN) is
                only centred.  Of F0, if values are measured against a voice, the deviation in semitones within voices.

        Raises:
            ValueError: another number of columns.
        """
        mean = torch.as_tensor(mean_D).to(self.mean_D)
        std = torch.as_tensor(std_D).to(self.std_D)
        if mean.shape != self.mean_D.shape or std.shape != self.std_D.shape:
            raise ValueError(
                f"normalisation: statistics of {tuple(mean.shape)} and {tuple(std.shape)} columns given; "
                f"the schema has {len(self.mean_D)}"
            )
        self.mean_D.copy_(torch.where(mean.isfinite(), mean, 0.0))
        self.std_D.copy_(torch.where(std.isfinite() & (std > 0), std, 1.0))

    def forward(
        self, frames_BTD: Tensor, valid_BT: Tensor, voices: VoiceStatistics | None = None
    ) -> tuple[Tensor, Tensor]:
        """Normalise a batch.

        Args:
            frames_BTD: features in physical units, NaN where undefined; anything in padding.
            valid_BT: true for real frames.
            voices: the voice of each row, if the mode is `speaker`; not read otherwise.

        Returns:
            values_BTD: normalised, at most `LIMIT` from zero; 0, the mean, where undefined and in padding.
            defined_BTD: true where a real frame has a value.

        Raises:
            ValueError: the mode is `speaker` and no voices are given.
        """
        if self.mode == "speaker" and voices is None:
            raise ValueError("normalisation: speaker: the voice of each row must be given")
        with torch.autocast(frames_BTD.device.type, enabled=False):
            frames_BTD, defined_BTD = self.measurable(frames_BTD, valid_BT)
            if self.mode == "corpus":
                return self._scores(frames_BTD, defined_BTD, self.mean_D, self.std_D), defined_BTD
            if self.mode == "utterance" or voices is None:
                voices = _measure(frames_BTD, defined_BTD)
            return self.against(frames_BTD, defined_BTD, voices), defined_BTD

    def measurable(self, frames_BTD: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames as they are measured, and where they are defined: the first half of `forward`."""
        frames_BTD = frames_BTD.to(self.mean_D.dtype)
        defined_BTD = _defined(frames_BTD, valid_BT)
        return (frames_BTD, defined_BTD) if self.mode == "corpus" else _with_semitones(frames_BTD, defined_BTD)

    def against(self, frames_BTD: Tensor, defined_BTD: Tensor, voices: VoiceStatistics) -> Tensor:
        """Return the values of frames beside voices: the second half of `forward`, once for each way to see a voice.

        Args:
            frames_BTD: of `measurable`.
            defined_BTD: of `measurable`.
            voices: the voice of each row.
        """
        centre_BD, spread_BD = self.trusted(voices)
        return self._scores(frames_BTD, defined_BTD, centre_BD[:, None], spread_BD[:, None])

    def _scores(self, frames_BTD: Tensor, defined_BTD: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        filled_BTD = torch.where(defined_BTD, frames_BTD, centre)
        return ((filled_BTD - centre) / spread).clamp(-LIMIT, LIMIT)

    def trusted(self, voices: VoiceStatistics) -> tuple[Tensor, Tensor]:
        """Return the centres and spreads [B, D] to use: those of the voices, as far as enough of them was heard."""
        count_BD, centre_BD, spread_BD = (part.to(self.mean_D.dtype) for part in voices)
        share_BD = (count_BD / OWN_FRAMES).clamp(max=1.0)
        centre_BD = torch.lerp(self.mean_D.expand_as(centre_BD), centre_BD, share_BD)
        ratio_BD = spread_BD / self.std_D
        # Of F0 only the height is the voice's own; its deviation is the corpus's.
        ratio_BD[:, _F0] = 1.0
        ratio_BD = (1 + share_BD * (ratio_BD**2 - 1)).sqrt().clamp(min=LEAST_SPREAD)
        return centre_BD, ratio_BD * self.std_D

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Normalisation":
        mean_D, std_D = self.mean_D, self.std_D
        super()._apply(fn, recurse)
        if self.mean_D.dtype in (torch.float16, torch.bfloat16):
            self.mean_D = mean_D.to(self.mean_D.device)
            self.std_D = std_D.to(self.std_D.device)
        return self
