"""The weights that turn a spectrum into mel bands and pitch classes, and the kernel that applies weights.

Made once, when the module is imported (2 ms), and applied by one kernel.  librosa keeps its filters in single
precision; these are rounded in the same places, so that both backends weigh with the same numbers.

Shape legend: F frequency bins, D bands or coefficients, T frames, B frames of one block.
"""

import numpy as np

from accent.dsp.compile import kernel
from accent.features.mel import mel_edges
from accent.grid import SAMPLE_RATE

A0_HZ = 27.5
"""Lowest A of the piano, octave 0 of the chroma filters: A4 is 440 Hz."""
CHROMA_CENTRE_OCTAVE, CHROMA_OCTAVES = 5.0, 2.0
"""Centre (880 Hz) and standard deviation of the Gaussian that favours the octaves where melodies lie."""


def bin_frequencies(n_fft: int) -> np.ndarray:
    """Return the centre frequency in Hz of each bin of a real transform: `[n_fft // 2 + 1]`."""
    return np.arange(n_fft // 2 + 1) * (SAMPLE_RATE / n_fft)


def mel_filters(n_fft: int, n_bands: int, from_hz: float, to_hz: float) -> np.ndarray:
    """Make triangular filters, evenly spaced in mel, of equal area.

    Args:
        n_fft: length of the transform.
        n_bands: number of filters.
        from_hz: lower edge of the first filter.
        to_hz: upper edge of the last filter.

    Returns:
        `[n_bands, n_fft // 2 + 1]` weights in 1/Hz, for a power spectrum.

    Source: Slaney, Auditory Toolbox (1998), as in librosa.filters.mel.
    """
    edges_D = mel_edges(n_bands, from_hz, to_hz)
    low, centre, high = edges_D[:-2, None], edges_D[1:-1, None], edges_D[2:, None]
    frequency_F = bin_frequencies(n_fft)
    rising_DF = (frequency_F - low) / (centre - low)
    falling_DF = (high - frequency_F) / (high - centre)
    triangle_DF = np.maximum(0, np.minimum(rising_DF, falling_DF)).astype(np.float32)
    return (triangle_DF * (2 / (high - low))).astype(np.float32).astype(np.float64)


def chroma_filters(n_fft: int, n_classes: int) -> np.ndarray:
    """Make Gaussian filters that gather all octaves of each pitch class, the first of them C.

    A bin is as wide as its distance to the next one in semitones, at least one semitone; what it gives to all classes
    has Euclidean norm 1 before the octaves are weighted.

    Args:
        n_fft: length of the transform.
        n_classes: pitch classes in an octave.

    Returns:
        `[n_classes, n_fft // 2 + 1]` weights, for a power spectrum.

    Source: Ellis, "Chroma feature analysis and synthesis" (2007), as in librosa.filters.chroma with tuning 0.
    """
    # One bin more than asked for, because the last one's width is its distance to the next.
    octave_F = np.log2(np.arange(1, n_fft // 2 + 2) * (SAMPLE_RATE / n_fft) / A0_HZ)
    # 0 Hz has no pitch: it is put one octave and a half below the first bin.
    semitone_F = n_classes * np.concatenate([[octave_F[0] - 1.5], octave_F])
    width_F = np.maximum(np.diff(semitone_F), 1.0)
    semitone_F = semitone_F[:-1]
    half = n_classes // 2
    # Pitch classes of librosa's formula start at A; C is its class 3.
    class_D = (np.arange(n_classes)[:, None] + 3 * (n_classes // 12)) % n_classes
    distance_DF = np.remainder(semitone_F - class_D + half, n_classes) - half
    weight_DF = np.exp(-0.5 * (2 * distance_DF / width_F) ** 2)
    weight_DF /= np.sqrt((weight_DF**2).sum(axis=0))
    weight_DF *= np.exp(-0.5 * ((semitone_F / n_classes - CHROMA_CENTRE_OCTAVE) / CHROMA_OCTAVES) ** 2)
    return weight_DF.astype(np.float32).astype(np.float64)


def nonzero_range(weights_DF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first column of each row that is not 0, and the one after the last: two `[D]` int64."""
    present_DF = weights_DF != 0
    n_columns = weights_DF.shape[1]
    return present_DF.argmax(axis=1), n_columns - present_DF[:, ::-1].argmax(axis=1)


@kernel
def weighted_sums(
    values_FB: np.ndarray,
    weights_DF: np.ndarray,
    from_D: np.ndarray,
    to_D: np.ndarray,
    sums_DT: np.ndarray,
    first_frame: int,
) -> None:
    """Apply filters to a block of frames.

    Args:
        values_FB: `[F, B]` what is filtered, one frame a column.
        weights_DF: `[D, F]` filters.
        from_D: `[D]` first weight of each filter that is not 0.
        to_D: `[D]` the one after its last.
        sums_DT: `[D, T]` results, written at columns `first_frame` to `first_frame + B`.
        first_frame: column of the first frame.

    Cost: F x D products a frame for full filters, 0.1 us for 12 of 257 bins; 2 F for triangles.
    """
    n_frames = values_FB.shape[1]
    for d in range(weights_DF.shape[0]):
        sums_T = sums_DT[d, first_frame : first_frame + n_frames]
        sums_T[:] = 0.0
        f = from_D[d]
        # Four bins at a time: one store of the sum for four products.
        while f + 4 <= to_D[d]:
            w0, w1, w2, w3 = weights_DF[d, f], weights_DF[d, f + 1], weights_DF[d, f + 2], weights_DF[d, f + 3]
            for t in range(n_frames):
                sums_T[t] += (w0 * values_FB[f, t] + w1 * values_FB[f + 1, t]) + (
                    w2 * values_FB[f + 2, t] + w3 * values_FB[f + 3, t]
                )
            f += 4
        while f < to_D[d]:
            for t in range(n_frames):
                sums_T[t] += weights_DF[d, f] * values_FB[f, t]
            f += 1
