"""A simple speaker embedding: means and deviations of MFCC and of F0 in semitones over a recording.

It needs no training and knows nothing of what is said; it hears the channel too.  Two recordings are compared by the
cosine of their vectors, less the mean of the training recordings and divided by the spread of single speakers'
recordings (within-class covariance normalisation): what varies while one speaker speaks says little about who it is.

Shapes: T frames, V = 42 values, N recordings.  Cost: microseconds a recording.

Source: Hatch, Kajarekar and Stolcke 2006, "Within-class covariance normalization for SVM-based speaker recognition".
"""

from dataclasses import dataclass

import numpy as np

from accent.features.schema import column_index, family_slices

_MFCC = family_slices()["mfcc"]
_F0 = column_index("f0_hz")


def voice_vector(frames_TD: np.ndarray) -> np.ndarray:
    """Return the voice of a recording, float64 [V].

    Args:
        frames_TD: features in physical units, NaN where undefined.  A recording without any voiced frame has an F0 of
            1 Hz, far from every voice.
    """
    frames_TD = np.asarray(frames_TD, np.float64)
    f0_T = frames_TD[:, _F0]
    voiced_T = f0_T[np.isfinite(f0_T) & (f0_T > 0)]
    pitch_T = 12 * np.log2(voiced_T) if len(voiced_T) else np.zeros(1)
    mfcc_TC = frames_TD[:, _MFCC]
    return np.concatenate([mfcc_TC.mean(0), [pitch_T.mean()], mfcc_TC.std(0), [pitch_T.std()]])


@dataclass(frozen=True, eq=False)
class VoiceScale:
    """What voices are compared by, measured on recordings of many speakers."""

    mean_V: np.ndarray
    whitening_VV: np.ndarray
    """Its product with its transpose is the inverse of the covariance of a speaker's recordings."""
    same_above: float
    """A similarity above it is called the same speaker."""
    equal_error_rate: float
    """Share of errors of that, on the measured recordings, on both sides."""

    def similarity(self, one_V: np.ndarray, other_V: np.ndarray) -> float:
        """Return the cosine of two voices, -1 ... 1."""
        one, other = whitened(np.stack([one_V, other_V]), self.mean_V, self.whitening_VV)
        return float(one @ other)


def whitened(voice_NV: np.ndarray, mean_V: np.ndarray, whitening_VV: np.ndarray) -> np.ndarray:
    """Return voices less their mean, whitened and brought to unit length, `[N, V]`."""
    white_NV = (voice_NV - mean_V) @ whitening_VV
    return white_NV / np.maximum(np.linalg.norm(white_NV, axis=1, keepdims=True), 1e-12)
