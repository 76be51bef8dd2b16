"""Which losses are summed, with what weights.  Costs nothing; imports no torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LossConfig:
    """Weights and settings of `accent.losses.AccentObjective`."""

    contrastive: float = 1.0
    """Weight of the supervised contrastive loss."""
    triplet: float = 0.5
    """Weight of the batch-hard triplet loss."""
    reconstruction: float = 0.1
    """Weight of the feature reconstruction loss."""
    cross_entropy: float = 0.5
    """Weight of the accent head's cross-entropy."""
    positives: Literal["any", "other_speaker"] = "other_speaker"
    """Which utterances of the anchor's accent attract it: any other one, or only those of other speakers."""
    temperature: float = 0.1
    """Temperature of the contrastive loss, where it starts if it is learned."""
    learn_temperature: bool = True
    """Whether the temperature is a parameter."""
    temperature_min: float = 0.01
    """Lowest temperature that learning may reach."""
    temperature_max: float = 1.0
    """Highest temperature that learning may reach."""
    margin: float = 0.3
    """Margin of the triplet loss, in Euclidean distance between unit vectors (0 to 2)."""
    label_smoothing: float = 0.0
    """Share of the target probability that cross-entropy spreads evenly over all accents."""

    def __post_init__(self) -> None:
        """Refuse impossible values, each in one sentence that begins with the key."""
        for key in ("contrastive", "triplet", "reconstruction", "cross_entropy"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key}: {getattr(self, key)} given; a weight is 0 or more")
        if self.positives not in ("any", "other_speaker"):
            raise ValueError(f"positives: '{self.positives}' is not one of any, other_speaker")
        if not 0 < self.temperature_min <= self.temperature <= self.temperature_max:
            raise ValueError(
                f"temperature: {self.temperature} given; allowed is {self.temperature_min} to {self.temperature_max}"
                " (temperature_min to temperature_max, both positive)"
            )
        if not 0 < self.margin < 2:
            raise ValueError(f"margin: {self.margin} given; between 0 and 2 is allowed")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing: {self.label_smoothing} given; 0 up to, but not, 1 is allowed")
