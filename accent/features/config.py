"""Every number that decides what the features are; the configuration's fingerprint names a shard set's features.

The defaults are Praat's where Praat has one.  Cost: none.
"""

from dataclasses import dataclass, field
from typing import Literal

from accent.audio.prepare import AudioConfig
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE


@dataclass(frozen=True)
class FeatureConfig:
    """From a recording to feature frames."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    """Preparation of the recording."""
    backend: Literal["numba", "reference"] = "numba"
    """Who computes: `numba` are our compiled kernels, `reference` is librosa and Praat (parselmouth) themselves."""

    pitch_floor_hz: float = 75.0
    """Lowest fundamental frequency; the analysis window is three of its periods."""
    pitch_ceiling_hz: float = 600.0
    """Highest fundamental frequency."""
    two_pass_pitch: bool = False
    """Narrow floor and ceiling to 0.75 x and 1.5 x the quartiles of a first pass (Hirst 2011)."""
    pitch_silence_threshold: float = 0.03
    """Frames whose peak is below this share of the recording's peak tend to be unvoiced."""
    pitch_voicing_threshold: float = 0.45
    """Frames whose autocorrelation is below this tend to be unvoiced."""
    pitch_octave_cost: float = 0.01
    """How much higher candidates are favoured, for each octave."""
    pitch_octave_jump_cost: float = 0.35
    """How much a jump by an octave costs the path."""
    pitch_voiced_unvoiced_cost: float = 0.14
    """How much a change between voiced and unvoiced costs the path."""

    formant_ceiling_hz: float = 5500.0
    """Highest frequency looked at for formants; the sound is resampled to twice this rate.  Praat: 5500 for women."""
    formant_ceiling_male_hz: float | None = None
    """Ceiling for speakers the corpus names male (Praat's advice: 5000); null: the same for everybody."""
    formants_below_ceiling: int = 5
    """Formants looked for below the ceiling; the lowest four are kept."""
    formant_window_seconds: float = 0.025
    """Effective length of the Gaussian formant window; it reaches twice as far."""
    formant_pre_emphasis_hz: float = 50.0
    """For formants, the spectrum is raised by 6 dB an octave above this frequency."""
    resampler: Literal["wall of 50 Hz"] = "wall of 50 Hz"
    """How the signals for formants and cepstra are made from 16 kHz.  Another resampler would move formants by several
    hertz, so the fingerprint names it."""

    hnr_floor_hz: float = 75.0
    """Lowest fundamental frequency of the harmonics-to-noise ratio."""
    hnr_silence_threshold: float = 0.1
    """Frames whose peak is below this share of the recording's peak have no harmonics-to-noise ratio."""
    hnr_periods_per_window: float = 4.5
    """Periods of that floor in the window of the harmonics-to-noise ratio: Praat's default for speech."""

    jitter_window_seconds: float = 0.15
    """Jitter and shimmer of a frame read the glottal pulses this far on either side."""
    jitter_min_periods: int = 5
    """Fewer periods in that window leave jitter and shimmer undefined."""
    period_floor_seconds: float = 0.0001
    """Shortest period that counts in jitter and shimmer."""
    period_ceiling_seconds: float = 0.02
    """Longest period that counts in jitter and shimmer."""
    max_period_factor: float = 1.3
    """Neighbouring periods that differ by more than this factor are left out."""
    max_amplitude_factor: float = 1.6
    """Neighbouring amplitudes that differ by more than this factor are left out of shimmer."""

    cpp_floor_hz: float = 60.0
    """Lowest fundamental frequency of the cepstral peak."""
    cpp_ceiling_hz: float = 333.3
    """Highest fundamental frequency of the cepstral peak."""
    cpp_trend_from_seconds: float = 0.001
    """Quefrency at which the trend line of the cepstrum begins."""
    cpp_trend_to_seconds: float = 0.05
    """Quefrency at which the trend line of the cepstrum ends."""

    tilt_ceiling_hz: float = 5000.0
    """Highest frequency of the spectral tilt."""
    tilt_unvoiced_band_hz: float = 100.0
    """Width of the bands of the spectral tilt in unvoiced frames; in voiced ones it is F0."""

    cpps_time_average_seconds: float = 0.02
    """The cepstrogram is averaged over this time for the smoothed cepstral peak prominence (CPPS)."""
    cpps_quefrency_average_seconds: float = 0.0005
    """The cepstrogram is averaged over this quefrency for the smoothed cepstral peak prominence (CPPS)."""
    pause_below_db: float = 25.0
    """Sound this far below the loud parts (99th percentile of intensity) is a pause where it lasts long enough."""
    pause_min_seconds: float = 0.3
    """Shortest pause."""
    syllable_dip_db: float = 2.0
    """Intensity dips at least this much between two syllable nuclei."""
    fricative_lowest_hz: float = 300.0
    """Spectral moments of fricatives read the spectrum from here up, above voicing and rumble."""

    def __post_init__(self) -> None:
        _check_range("pitch_floor_hz", self.pitch_floor_hz, 40, self.pitch_ceiling_hz)
        _check_range("pitch_ceiling_hz", self.pitch_ceiling_hz, self.pitch_floor_hz, 2000)
        for key in ("pitch_silence_threshold", "pitch_voicing_threshold"):
            _check_range(key, getattr(self, key), 0, 1)
        for key in ("formant_ceiling_hz", "formant_ceiling_male_hz"):
            ceiling_hz = getattr(self, key)
            if ceiling_hz is None:
                continue
            _check_range(key, ceiling_hz, 1000, SAMPLE_RATE / 2)
            if 2 * ceiling_hz % FRAMES_PER_SECOND:
                raise ValueError(
                    f"{key}: {ceiling_hz} is not a multiple of {FRAMES_PER_SECOND // 2} (10 ms must be a whole number "
                    "of samples at twice the ceiling)"
                )
        _check_range("formants_below_ceiling", self.formants_below_ceiling, 4, 10)
        _check_range("formant_window_seconds", self.formant_window_seconds, 0.005, 0.1)
        _check_range("formant_pre_emphasis_hz", self.formant_pre_emphasis_hz, 1, SAMPLE_RATE / 2)
        lowest_rate = 2 * min(self.formant_ceiling_for("male"), self.formant_ceiling_hz)
        if 2 * self.formant_window_seconds * lowest_rate <= 2 * self.formants_below_ceiling + 2:
            raise ValueError(
                f"formant_window_seconds: {self.formant_window_seconds} is too short to look for "
                f"{self.formants_below_ceiling} formants below {lowest_rate / 2:.0f} Hz"
            )
        _check_range("jitter_window_seconds", self.jitter_window_seconds, 0.02, 1)
        _check_range("jitter_min_periods", self.jitter_min_periods, 3, 100)
        _check_range("period_floor_seconds", self.period_floor_seconds, 0, self.period_ceiling_seconds)
        for key in ("max_period_factor", "max_amplitude_factor"):
            _check_range(key, getattr(self, key), 1, 100)
        _check_range("cpp_floor_hz", self.cpp_floor_hz, 30, self.cpp_ceiling_hz)
        _check_range("cpp_trend_from_seconds", self.cpp_trend_from_seconds, 0, self.cpp_trend_to_seconds)
        for lower, upper in (
            ("pitch_floor_hz", "pitch_ceiling_hz"),
            ("cpp_floor_hz", "cpp_ceiling_hz"),
            ("cpp_trend_from_seconds", "cpp_trend_to_seconds"),
        ):
            if getattr(self, lower) == getattr(self, upper):
                raise ValueError(f"{lower}: {getattr(self, lower)} is not below {upper}")
        _check_range("hnr_floor_hz", self.hnr_floor_hz, 40, 2000)
        _check_range("hnr_silence_threshold", self.hnr_silence_threshold, 0, 1)
        _check_range("hnr_periods_per_window", self.hnr_periods_per_window, 1, 100)
        _check_range("tilt_unvoiced_band_hz", self.tilt_unvoiced_band_hz, 20, self.tilt_ceiling_hz / 3)
        _check_range("tilt_ceiling_hz", self.tilt_ceiling_hz, 3 * self.pitch_ceiling_hz, SAMPLE_RATE / 2)
        for key in ("cpps_time_average_seconds", "cpps_quefrency_average_seconds"):
            _check_range(key, getattr(self, key), 0, 1)
        for key in ("pause_below_db", "syllable_dip_db"):
            _check_range(key, getattr(self, key), 0, 100)
        _check_range("pause_min_seconds", self.pause_min_seconds, 0.05, 10)
        _check_range("fricative_lowest_hz", self.fricative_lowest_hz, 0, SAMPLE_RATE / 4)

    def formant_ceiling_for(self, sex: str | None) -> float:
        """Return the formant ceiling in Hz for a speaker: "male", "female", or None where it is not known."""
        if sex == "male" and self.formant_ceiling_male_hz is not None:
            return self.formant_ceiling_male_hz
        return self.formant_ceiling_hz


def _check_range(key: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ValueError(f"{key}: {value} is not between {lowest} and {highest}")
