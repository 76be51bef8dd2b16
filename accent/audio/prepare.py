"""From decoded sound to prepared speech: mix down, resample, filter, trim, set the loudness.

Two readings of the same recording come out.  `unfiltered_N` is only mixed down and resampled: pitch, intensity,
formants and voice quality would move under a filter or a gain.  `normalised_N` is filtered and brought to one loudness
and is read by the spectral families.  Trimming selects frames on the recording's 10 ms grid and cuts no sample, so
that analysis windows at the edges of the kept region see the real sound outside it.

Every step leaves its numbers in `Speech.preprocessing`.  A recording that cannot be used is refused with its reason.
Cost: about 0.3 ms a second of sound at 44.1 kHz, most of it resampling.

Shape legend: N samples of sound, C channels, T frames.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from accent.audio.decode import FULL_SCALE_16_BITS, in_full_scale, read_samples, too_long
from accent.dsp.butterworth import butterworth, zero_phase
from accent.dsp.casts import scaled_with_sum
from accent.dsp.loudness import ABSOLUTE_GATE_LUFS, frame_levels, integrated_loudness
from accent.errors import AccentError
from accent.grid import FRAMES_PER_SECOND, HOP, SAMPLE_RATE

SILENCE_DBFS = -70.0
"""A recording whose loudest 25 ms stay under this level is silent (also the absolute gate of BS.1770, in LUFS)."""
FILTER_ORDER = 8
"""Order of each filter: a Butterworth filter of order 4, run forwards and backwards."""
LOUDNESS_BLOCK_SECONDS = 0.4
"""Gating block of BS.1770; shortened to the sound where the sound is shorter."""
LARGEST_PEAK = 8.0
"""Float samples may pass full scale, which is 1, by 18 dB: more are integers stored as floats, or damage."""
DEAD_CHANNEL_DB = -40.0
"""A channel this far below the loudest one carries nothing: it is left out of the mean."""
CANCELLED = 0.5
"""Channels cancel if their mean keeps less than this share of the power that independent channels would keep."""
CLIPPED = 1 - 2.0**-15
"""Samples from here on count as clipped: the largest positive value of 16 bits."""


@dataclass(frozen=True)
class AudioConfig:
    """How a recording is prepared; a step set to null is left out."""

    trim_db: float | None = 40.0
    """Frames more than this below the loudest frame count as silence at the edges."""
    trim_margin_seconds: float = 0.1
    """Sound kept on either side of the first and last frame that is not silence."""
    loudness_lufs: float | None = -23.0
    """Integrated loudness of the kept region in the normalised reading (ITU-R BS.1770)."""
    highpass_hz: float | None = 50.0
    """Zero-phase Butterworth high-pass of the normalised reading: removes hum, rumble and offset."""
    lowpass_hz: float | None = None
    """Zero-phase Butterworth low-pass of the normalised reading, to make bandwidths of several corpora equal."""
    min_seconds: float = 0.1
    """Shorter recordings, and recordings with less than this after trimming, are refused."""
    max_seconds: float = 120.0
    """Longer recordings are refused before they are read."""

    def __post_init__(self) -> None:
        nyquist = SAMPLE_RATE / 2
        if self.trim_db is not None and self.trim_db <= 0:
            raise ValueError(f"trim_db: {self.trim_db} is not above 0 (decibels below the loudest frame, or null)")
        if self.trim_margin_seconds < 0:
            raise ValueError(f"trim_margin_seconds: {self.trim_margin_seconds} is negative")
        for key in ("highpass_hz", "lowpass_hz"):
            edge = getattr(self, key)
            if edge is not None and not 0 < edge < nyquist:
                raise ValueError(f"{key}: {edge} is not between 0 and {nyquist:.0f} Hz (or null)")
        if self.highpass_hz is not None and self.lowpass_hz is not None and self.highpass_hz >= self.lowpass_hz:
            raise ValueError(f"highpass_hz: {self.highpass_hz} is not below lowpass_hz, {self.lowpass_hz}")
        if not 0.1 <= self.min_seconds <= self.max_seconds:
            raise ValueError(f"min_seconds: {self.min_seconds} is not between 0.1 and max_seconds, {self.max_seconds}")


@dataclass(frozen=True)
class Speech:
    """One recording, ready for feature extraction, at 16 kHz mono."""

    unfiltered_N: np.ndarray
    """float64, neither filtered nor scaled: what pitch, intensity, formants and voice quality are measured on."""
    normalised_N: np.ndarray
    """float64, filtered and brought to the target loudness: what the spectral families are measured on."""
    first_frame: int
    """First kept frame, on the recording's grid of 10 ms."""
    n_frames: int
    """Number of kept frames."""
    preprocessing: dict[str, Any]
    """Every step and its numbers, ready for JSON."""

    @property
    def total_frames(self) -> int:
        """Frames of the whole recording: one every 10 ms, the first at 0."""
        return len(self.unfiltered_N) // HOP + 1

    @property
    def kept(self) -> slice:
        """The kept region, as a slice of the recording's frames."""
        return slice(self.first_frame, self.first_frame + self.n_frames)


def load_speech(path: Path, config: AudioConfig) -> Speech:
    """Read a sound file and prepare it.

    Args:
        path: a file that libsndfile reads (WAV, FLAC, OGG, MP3 and others).
        config: the steps and their numbers.

    Returns:
        The prepared recording; `preprocessing["source"]` describes the file.

    Raises:
        AccentError: the file is missing, damaged, empty, silent, too short, too long or holds values that are no
            numbers; the line names the file and the reason.
    """
    samples_NC, rate, source = read_samples(path, config.max_seconds)
    try:
        speech = prepare_speech(samples_NC, rate, config)
    except AccentError as error:
        raise AccentError(f"{path}: {error}") from error
    speech.preprocessing["source"].update(source)
    return speech


def prepare_speech(samples: np.ndarray, rate: int, config: AudioConfig) -> Speech:
    """Mix down, resample, filter, trim and set the loudness.

    The steps run in this order.  Loudness is measured on the kept region, so that silence before and after the speech
    changes nothing.

    Args:
        samples: `[N]` or `[N, C]`, full scale at -1 and 1; of integers only int16, as a file of 16 bits holds them.
        rate: sampling rate in Hz.
        config: the steps and their numbers.

    Returns:
        The prepared recording.

    Raises:
        AccentError: the sound is empty, silent, too short, too long or holds values that are no numbers.

    Source: loudness ITU-R BS.1770-4; resampling by soxr (HQ: flat to 0.91 of the lower Nyquist).
    """
    samples_NC = np.asarray(samples)
    samples_NC = samples_NC[:, None] if samples_NC.ndim == 1 else samples_NC
    if samples_NC.dtype != np.int16 or samples_NC.shape[1] > 1:
        samples_NC = in_full_scale(samples_NC)
    _refuse_unusable(samples_NC, rate, config)
    record: dict[str, Any] = {"source": _describe(samples_NC, rate)}

    mono_N, record["mix_down"] = _mix_down(samples_NC)
    unfiltered_N = mono_N if rate == SAMPLE_RATE else soxr.resample(mono_N, rate, SAMPLE_RATE, quality="HQ")
    unfiltered_N = unfiltered_N.astype(np.float64, copy=False)
    record["resample"] = {"from_hz": rate, "to_hz": SAMPLE_RATE, "method": "none" if rate == SAMPLE_RATE else "soxr HQ"}

    filtered_N = high_and_low_passed(unfiltered_N, config)
    record["filter"] = {"highpass_hz": config.highpass_hz, "lowpass_hz": config.lowpass_hz, "order": FILTER_ORDER}

    level_T = frame_levels(filtered_N)
    if level_T.max() < SILENCE_DBFS:
        raise AccentError(f"silent: no 25 ms of it reach {SILENCE_DBFS:.0f} dB of full scale")
    first_frame, n_frames = kept_region(level_T, config)
    record["trim"] = _describe_trim(first_frame, n_frames, level_T, config)
    if (n_frames - 1) * HOP < config.min_seconds * SAMPLE_RATE - HOP:
        raise AccentError(_too_short((n_frames - 1) / FRAMES_PER_SECOND, config.min_seconds, "after trimming"))

    kept = slice(first_frame * HOP, (first_frame + n_frames - 1) * HOP + 1)
    normalised_N, record["loudness"] = normalised_in_loudness(filtered_N, kept, config.loudness_lufs)
    return Speech(unfiltered_N, normalised_N, first_frame, n_frames, record)


def _mix_down(samples_NC: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Return one channel `[N]` and how it was made; float32 for 16 bits, which it holds exactly.

    The mean of the channels, without those that carry nothing; where they cancel each other, the loudest alone.
    """
    if samples_NC.dtype == np.int16:
        scaled_N, total = scaled_with_sum(samples_NC.reshape(-1), 1 / FULL_SCALE_16_BITS)
        return scaled_N, {"method": "mean of channels", "offset": total / len(samples_NC) / FULL_SCALE_16_BITS}
    if samples_NC.shape[1] == 1:
        mono_N = samples_NC.mean(axis=1)
        return mono_N, {"method": "mean of channels", "offset": float(mono_N.mean())}
    unusual: dict[str, Any] = {}
    power_C = samples_NC.var(axis=0)
    live_C = np.flatnonzero(power_C >= power_C.max() * 10 ** (DEAD_CHANNEL_DB / 10))
    if len(live_C) < samples_NC.shape[1]:
        unusual["channels_left_out"] = sorted(set(range(1, samples_NC.shape[1] + 1)) - set((live_C + 1).tolist()))
        samples_NC, power_C = samples_NC[:, live_C], power_C[live_C]
    mono_N, method = samples_NC.mean(axis=1), "mean of channels"
    if mono_N.var() < CANCELLED * power_C.mean() / samples_NC.shape[1]:
        loudest = int(power_C.argmax())
        mono_N, method = np.ascontiguousarray(samples_NC[:, loudest]), "loudest channel"
        unusual["channels_cancel"] = True
    return mono_N, {"method": method, "offset": float(mono_N.mean()), **unusual}


def _refuse_unusable(samples_NC: np.ndarray, rate: int, config: AudioConfig) -> None:
    seconds = len(samples_NC) / rate
    if samples_NC.size == 0:
        raise AccentError("holds no samples")
    if seconds < config.min_seconds:
        raise AccentError(_too_short(seconds, config.min_seconds, "long"))
    if seconds > config.max_seconds:
        raise AccentError(too_long(seconds, config.max_seconds))
    if samples_NC.dtype == np.int16:
        return
    if not np.isfinite(samples_NC).all():
        count = int((~np.isfinite(samples_NC)).any(axis=1).sum())
        raise AccentError(f"{count} of {len(samples_NC)} samples are no finite numbers")
    if _peak(samples_NC) > LARGEST_PEAK:
        raise AccentError(
            f"holds samples of up to {_peak(samples_NC):.6g} times full scale: damaged, or integers stored as floats; "
            "divide them by the largest integer of their kind (32768 for 16 bits)"
        )


def _peak(samples_NC: np.ndarray) -> float:
    peak = max(float(samples_NC.max()), -float(samples_NC.min()))
    return peak / FULL_SCALE_16_BITS if samples_NC.dtype == np.int16 else peak


def _too_short(seconds: float, limit: float, what: str) -> str:
    return f"too short: {seconds:.3f} s {what}, the configuration asks for {limit} s (audio.min_seconds)"


def _describe(samples_NC: np.ndarray, rate: int) -> dict[str, Any]:
    peak = _peak(samples_NC)
    return {
        "rate_hz": rate,
        "channels": samples_NC.shape[1],
        "samples": len(samples_NC),
        "seconds": len(samples_NC) / rate,
        "peak": peak,
        "clipped_share": float((np.abs(in_full_scale(samples_NC)) >= CLIPPED).mean()) if peak >= CLIPPED else 0.0,
    }


def high_and_low_passed(samples_N: np.ndarray, config: AudioConfig) -> np.ndarray:
    """Return sound at 16 kHz `[N]`, filtered as the configuration says."""
    for edge_hz, highpass in ((config.highpass_hz, True), (config.lowpass_hz, False)):
        if edge_hz is not None:
            samples_N = zero_phase(samples_N, butterworth(edge_hz, SAMPLE_RATE, highpass))
    return samples_N


def kept_region(level_T: np.ndarray, config: AudioConfig, loudest_elsewhere: float = -math.inf) -> tuple[int, int]:
    """Return the first frame that is kept, and how many are; of a part of a recording perhaps none.

    Args:
        level_T: dB of full scale, of the filtered sound.
        config: the steps and their numbers.
        loudest_elsewhere: of a part of a recording, the level of the loudest frame in the rest of it.
    """
    if config.trim_db is None:
        return 0, len(level_T)
    loud = np.flatnonzero(level_T >= max(level_T.max(), loudest_elsewhere) - config.trim_db)
    if not len(loud):
        return 0, 0
    margin = round(config.trim_margin_seconds * FRAMES_PER_SECOND)
    first, last = max(int(loud[0]) - margin, 0), min(int(loud[-1]) + margin, len(level_T) - 1)
    return first, last - first + 1


def _describe_trim(first_frame: int, n_frames: int, level_T: np.ndarray, config: AudioConfig) -> dict[str, Any]:
    return {
        "trim_db": config.trim_db,
        "margin_seconds": config.trim_margin_seconds,
        "loudest_dbfs": float(level_T.max()),
        "first_frame": first_frame,
        "n_frames": n_frames,
        "start_seconds": first_frame / FRAMES_PER_SECOND,
        "end_seconds": (first_frame + n_frames - 1) / FRAMES_PER_SECOND,
    }


def normalised_in_loudness(
    filtered_N: np.ndarray, kept: slice, target_lufs: float | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return filtered sound at the target loudness `[N]`, and the numbers of that.

    Args:
        filtered_N: of `high_and_low_passed`.
        kept: samples of the kept region, which loudness is measured on.
        target_lufs: None leaves the sound as it is.

    Raises:
        AccentError: too quiet to be measured.
    """
    if target_lufs is None:
        return filtered_N, {"target_lufs": None, "gain_db": 0.0}
    # The array is a workspace first: the K-weighted sound is not needed afterwards.
    normalised_N = filtered_N.copy()
    kept_N = normalised_N[kept]
    # One sample less than the sound, so that rounding cannot make the block longer than it.
    block_seconds = min(LOUDNESS_BLOCK_SECONDS, (len(kept_N) - 1) / SAMPLE_RATE)
    loudness = integrated_loudness(kept_N, SAMPLE_RATE, block_seconds)
    if not math.isfinite(loudness):
        gate = f"{ABSOLUTE_GATE_LUFS:.0f} LUFS"
        raise AccentError(f"too quiet: its loudness is under the gate of BS.1770 ({gate}), so it cannot be normalised")
    gain_db = target_lufs - loudness
    np.multiply(filtered_N, 10 ** (gain_db / 20), out=normalised_N)
    return normalised_N, {
        "target_lufs": target_lufs,
        "measured_lufs": loudness,
        "block_seconds": block_seconds,
        "gain_db": gain_db,
        "peak_after": _peak(normalised_N),
    }
