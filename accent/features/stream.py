"""Features of a stream of sound: the numbers of a recording, as far as they can be known before it ends.

Each piece of sound is measured once, by the kernels that measure recordings, together with `CONTEXT` frames before it
and with the `LOOKAHEAD` frames before it that had too little sound behind them; they come out again with the next
piece.  With a piece louder than all before it, everything that is kept is measured again.  What makes a frame depend on
more than its own window:

    filters, resamplers   ring on for some tens of milliseconds: lost in the context
    pitch                 the best path of a recording; here of a piece with its context
    jitter, shimmer       pulses are found from the middle of a voiced stretch, which the context may cut
    loudest place         of the last `MEMORY` frames: silences of pitch, harmonics-to-noise ratio and trimming
    loudness, contrast    of the part not yet finished: mel, MFCC, chroma and spectral shape of this part are made anew
                          when they are asked for, at a tenth of the cost of all columns

So a frame's voicing strength and intensity, H1-H2 and tilt (given F0), and the spectral families (given the loudness)
are those of the recording; `tests/accent/features/test_stream.py` has the bounds of the others.

Cost: 2.3 ms a second of sound and context; at a louder place, of all sound that is kept.  Memory: the sound since
`forget`, and nothing else that grows.

Shapes: N samples at 16 kHz, T frames of 10 ms, D columns of the schema, M of them measured on the unfiltered sound.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from accent.audio.prepare import SILENCE_DBFS, high_and_low_passed, kept_region, normalised_in_loudness
from accent.dsp.loudness import frame_levels
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.kernels.backend import unfiltered_frames
from accent.features.kernels.spectrum import spectral_frames
from accent.features.mel import cosine_transform
from accent.features.schema import FAMILY_NAMES, N_COLUMNS, N_MELS, N_MFCC, column_index, family_slices
from accent.grid import FRAMES_PER_SECOND, HOP

CONTEXT = 50
"""Frames before a piece that are measured with it, and thrown away."""
LOOKAHEAD = 40
"""Frames at the end of the stream that are measured again when more sound has come."""
MEMORY = 6_000
"""Frames over which the loudest place is remembered: a minute."""
FILTER_GUARD = 30
"""Frames after a cut in which the filters still ring."""
_UNFILTERED = ("prosody", "formants", "voice")


def _added_by_one_decibel() -> np.ndarray:
    added_D = np.zeros(N_COLUMNS, np.float32)
    slices = family_slices()
    added_D[slices["mel"]] = added_D[column_index("rms_db")] = 1
    added_D[slices["mfcc"]] = cosine_transform(N_MFCC, N_MELS).sum(1)
    return added_D


ADDED_BY_ONE_DECIBEL = _added_by_one_decibel()
"""What sound that is 1 dB louder adds to each column of its spectral families, but for their floors; `[D]`."""


@dataclass(frozen=True)
class Unfinished:
    """The end of a stream, from the frame asked for, without silence at its edges."""

    frames_TD: np.ndarray
    """float32, columns in the schema's order; no frames where there is nothing but silence."""
    first_frame: int
    """Number of the first one in the stream."""
    gain_db: float
    """What brought them to the loudness of the configuration."""
    reason: str | None
    """Why there are none."""


class FeatureStream:
    """Measures sound as it comes.

    Args:
        config: settings of the analyses; the compiled kernels measure whatever its `backend` says.
    """

    def __init__(self, config: FeatureConfig) -> None:
        self._config = config
        self._samples_N = np.empty(0)
        self._first = 0
        self._measured_TM = np.empty((0, 0))
        self.final = 0
        """Frames before this number are measured for good, unless a louder place comes while they are kept."""
        self._peak, self._level = _RecentMaximum(), _RecentMaximum()

    @property
    def total_frames(self) -> int:
        """Frames of the stream so far."""
        return self._first + len(self._samples_N) // HOP + 1

    def feed(self, samples_N: np.ndarray) -> None:
        """Measure the next piece.

        Args:
            samples_N: sound at 16 kHz, float64, full scale at -1 and 1; at least one sample.
        """
        self._samples_N = np.concatenate([self._samples_N, samples_N])
        stop, peak = self.total_frames, float(np.abs(samples_N).max())
        again = self.final
        if peak > self._peak.value(stop):
            # Beside a louder place, frames that were voiced may be silent: all that are kept, not only those to come.
            again = min(self._first + CONTEXT, self.final) if self._first else 0
        start = max(self._first, again - CONTEXT)
        piece_N = self._samples_N[(start - self._first) * HOP :]
        fresh = slice(again - start, stop - start)
        measured = unfiltered_frames(piece_N, self._config, fresh, peak_elsewhere=self._peak.value(stop))
        fresh_TM = np.hstack([measured.families[name] for name in _UNFILTERED])[fresh]
        kept_TM = self._measured_TM[: again - self._first]
        self._measured_TM = np.concatenate([kept_TM, fresh_TM]) if len(kept_TM) else fresh_TM
        self._peak.add(stop, peak)
        self.final = max(self.final, stop - LOOKAHEAD)

    def unfinished(self, first_frame: int) -> Unfinished:
        """Return the end of the stream.

        Args:
            first_frame: where it begins; not before what was forgotten.
        """
        nothing_TD = np.empty((0, N_COLUMNS), np.float32)
        filtered_N = high_and_low_passed(self._samples_N, self._config.audio)
        from_here = max(first_frame - self._first, 0)
        level_T = frame_levels(filtered_N)[from_here:]
        self._level.add(self.total_frames, float(level_T.max()))
        loudest = self._level.value(self.total_frames)
        if loudest < SILENCE_DBFS:
            return Unfinished(nothing_TD, first_frame, 0.0, "silent so far")
        skipped, count = kept_region(level_T, self._config.audio, loudest)
        if count <= self._config.audio.min_seconds * FRAMES_PER_SECOND:
            return Unfinished(nothing_TD, first_frame, 0.0, "too little that is not silent")
        kept = slice(from_here + skipped, from_here + skipped + count)
        try:
            normalised_N, told = normalised_in_loudness(
                filtered_N, slice(kept.start * HOP, (kept.stop - 1) * HOP + 1), self._config.audio.loudness_lufs
            )
        except AccentError as error:
            return Unfinished(nothing_TD, first_frame, 0.0, str(error))
        spectral = spectral_frames(normalised_N)
        families = [spectral[name] for name in FAMILY_NAMES if name not in _UNFILTERED]
        frames_TD = np.hstack([*families, self._measured_TM])[kept]
        return Unfinished(frames_TD.astype(np.float32), self._first + kept.start, told["gain_db"], None)

    def forget(self, before_frame: int) -> None:
        """Drop what is not needed to know the frames from this one on."""
        first = max(min(before_frame - FILTER_GUARD, self.final - CONTEXT), self._first)
        self._samples_N = self._samples_N[(first - self._first) * HOP :].copy()
        self._measured_TM = self._measured_TM[first - self._first :].copy()
        self._first = first


class _RecentMaximum:
    """The largest of the values of the last `MEMORY` frames."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque()

    def add(self, frame: int, value: float) -> None:
        """Take a value at a frame that is not before the last one."""
        while self._kept and self._kept[-1][1] <= value:
            self._kept.pop()
        self._kept.append((frame, value))

    def value(self, frame: int) -> float:
        """Return the maximum at a frame; minus infinity where there is none."""
        while self._kept and self._kept[0][0] < frame - MEMORY:
            self._kept.popleft()
        return self._kept[0][1] if self._kept else -math.inf
