"""Which perturbations training applies, and how strong they are; everything is off by default.  Cost: none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentationConfig:
    """Perturbations of training crops; each one is off at its default.

    Every row draws each perturbation, and its strength, by itself.
    """

    probability: float = 1.0
    """Share of the rows that each perturbation is applied to."""
    tempo: float = 0.0
    """Speech becomes faster or slower by a factor of up to 1 + tempo; pitch and formants stay."""
    speed: float = 0.0
    """As if played faster or slower by a factor of up to 1 + speed: tempo, pitch, formants and spectrum together."""
    vocal_tract: float = 0.0
    """Formants and spectrum are stretched along frequency by a factor of up to 1 + vocal_tract; pitch stays."""
    equaliser_db: float = 0.0
    """A smooth curve over the mel bands, of at most this many dB, is added: another channel."""
    gain_db: float = 0.0
    """All levels are shifted by at most this many dB."""
    noise_snr_db: float | None = None
    """Stationary noise is added, at a signal-to-noise ratio between this many dB and `noise_snr_highest_db`."""
    noise_snr_highest_db: float = 40.0
    """Signal-to-noise ratio of the faintest noise in dB."""
    time_masks: int = 0
    """Stretches of frames that are made undefined in all columns (SpecAugment)."""
    time_mask_frames: int = 20
    """Longest of them; never more than a fifth of the crop."""
    frequency_masks: int = 0
    """Ranges of mel bands that are set to their mean over the crop (SpecAugment)."""
    frequency_mask_bands: int = 10
    """Widest of them."""

    @property
    def is_on(self) -> bool:
        """Whether anything is perturbed at all."""
        strengths = (self.tempo, self.speed, self.vocal_tract, self.equaliser_db, self.gain_db)
        masks = (self.time_masks, self.frequency_masks)
        return self.probability > 0 and (any(strengths) or any(masks) or self.noise_snr_db is not None)

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: {self.probability} is not between 0 and 1")
        for key in ("tempo", "speed", "vocal_tract"):
            if not 0 <= getattr(self, key) <= 0.5:
                raise ValueError(f"{key}: {getattr(self, key)} is not between 0 (off) and 0.5")
        for key in ("equaliser_db", "gain_db"):
            if not 0 <= getattr(self, key) <= 40:
                raise ValueError(f"{key}: {getattr(self, key)} is not between 0 (off) and 40 dB")
        if self.noise_snr_db is not None and not -20 <= self.noise_snr_db <= self.noise_snr_highest_db:
            raise ValueError(
                f"noise_snr_db: {self.noise_snr_db} is not between -20 and "
                f"noise_snr_highest_db, {self.noise_snr_highest_db} (or null: off)"
            )
        for key in ("time_masks", "frequency_masks"):
            if not 0 <= getattr(self, key) <= 10:
                raise ValueError(f"{key}: {getattr(self, key)} is not between 0 (off) and 10")
        if self.time_mask_frames < 1:
            raise ValueError(f"time_mask_frames: {self.time_mask_frames} is not at least 1")
        if not 1 <= self.frequency_mask_bands <= 40:
            raise ValueError(f"frequency_mask_bands: {self.frequency_mask_bands} is not between 1 and 40 of 80 bands")
