"""Which losses are summed, with what weights.  Costs nothing; imports no torch."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LossConfig:
    """Weights and settings of `accent.losses.AccentObjective`."""

    contrastive: float = 1.0
    """Weight of the supervised contrastive loss."""
    triplet: float = 0.5
    """Weight of the triplet loss."""
    reconstruction: float = 0.1
    """Weight of the feature reconstruction loss."""
    cross_entropy: float = 0.5
    """Weight of the accent head's loss."""
    adversary: float = 0.0
    """How strongly the gradient of a head that tells the training speakers of an accent apart is reversed at the end of
    a run, so that the embedding unlearns voices; it sets in slowly, the head itself learns at full strength; 0: off."""
    ctc: float = 0.0
    """Weight of the CTC loss by which phone heads also learn from utterances with a transcript and no alignment; the
    loss of the aligned ones weighs 1; 0: those without are not used."""
    positives: Literal["any", "other_speaker"] = "other_speaker"
    """Which utterances of the anchor's accent attract it: any other one, or only those of other speakers."""
    same_prompt: bool = False
    """Whether only utterances of the same prompt attract each other; with `other_speaker`, of another speaker too."""
    temperature: float = 0.1
    """Temperature of the contrastive loss, where it starts if it is learned."""
    learn_temperature: bool = True
    """Whether the temperature is a parameter."""
    temperature_min: float = 0.01
    """Lowest temperature that learning may reach."""
    temperature_max: float = 1.0
    """Highest temperature that learning may reach."""
    mining: Literal["batch_hard", "semi_hard"] = "batch_hard"
    """Which triplets count: each anchor's farthest positive and nearest negative, or each positive with the nearest
    negative beyond it."""
    margin: float = 0.3
    """Margin of the triplet loss, 0 to 2: between unit vectors, in Euclidean distance for `batch_hard` and in squared
    Euclidean distance (2 - 2 cos) for `semi_hard`."""
    head: Literal["softmax", "aam", "circle"] = "softmax"
    """Loss of the accent head: cross-entropy, the same with an additive angular margin (ArcFace), or circle loss."""
    head_margin: float = 0.2
    """Margin of the accent head: radians for `aam`, cosine for `circle`; `softmax` has none."""
    label_smoothing: float = 0.0
    """Share of the target probability that `softmax` and `aam` spread evenly over all accents."""
    tile: int = field(default=4096, metadata={"resumable": True})
    """Keys that a rank's rows are compared with at a time: no table has more than rows x tile entries."""

    def __post_init__(self) -> None:
        """Refuse impossible values, each in one sentence that begins with the key."""
        for key in ("contrastive", "triplet", "reconstruction", "cross_entropy", "adversary", "ctc"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key}: {getattr(self, key)} given; a weight is 0 or more")
        for key, allowed in (
            ("positives", ("any", "other_speaker")),
            ("mining", ("batch_hard", "semi_hard")),
            ("head", ("softmax", "aam", "circle")),
        ):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}: '{getattr(self, key)}' is not one of {', '.join(allowed)}")
        if not 0 < self.temperature_min <= self.temperature <= self.temperature_max:
            raise ValueError(
                f"temperature: {self.temperature} given; allowed is {self.temperature_min} to {self.temperature_max}"
                " (temperature_min to temperature_max, both positive)"
            )
        if not 0 < self.margin < 2:
            raise ValueError(f"margin: {self.margin} given; between 0 and 2 is allowed")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing: {self.label_smoothing} given; 0 up to, but not, 1 is allowed")
        if self.label_smoothing > 0 and self.head == "circle":
            raise ValueError(f"label_smoothing: {self.label_smoothing} given; circle loss has none, 0 is allowed")
        if not 0 <= self.head_margin < 1:
            raise ValueError(f"head_margin: {self.head_margin} given; 0 up to, but not, 1 is allowed")
        if self.tile < 1:
            raise ValueError(f"tile: {self.tile} given; at least 1 is allowed")
