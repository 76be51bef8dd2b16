"""What is measured in one spectrum: where it lies, how flat it is, how far peaks stand out; and two levels in time.

The kernels read a transposed block of frames: `[F, B]`, one bin of all frames side by side.  A sum over the
bins runs over all frames at once, in wide registers, in the order in which it is written: a frame's values depend
neither on the others nor on its place among them.

Cost: 0.6 us a frame, all together.

Shape legend: N samples at 16 kHz, T frames of 10 ms, B frames of one block, F frequency bins, D columns, G groups of
bins.
"""

import numpy as np

from accent.dsp.compile import kernel
from accent.features.definitions import CONTRAST_FROM_HZ
from accent.features.schema import N_CONTRAST
from accent.grid import HOP

ROLLOFF_SHARE = 0.85
"""Share of the summed magnitudes that lies at or below the rolloff frequency."""
CONTRAST_QUANTILE = 0.02
"""Share of a band's bins that make its peak, and its valley; at least one bin."""
LOWEST_POWER = 1e-10
"""Decibels and logarithms end here."""
ZERO = 1e-10
"""Samples up to this magnitude are 0, which counts as positive, where zero crossings are counted."""


def contrast_bands(frequency_F: np.ndarray) -> np.ndarray:
    """Lay out the octave bands of spectral contrast.

    Args:
        frequency_F: `[F]` Hz, from 0 to the Nyquist frequency.

    Returns:
        `[7, 3]` int64: first bin, the one after the last, and how many bins make the peak and the valley.

    Source: librosa.feature.spectral_contrast: each band but the first begins with the last bin of the one before, the
    last bin of each but the last is counted for the quantile and then left out.
    """
    bands = np.empty((N_CONTRAST, 3), dtype=np.int64)
    for band in range(N_CONTRAST):
        low = CONTRAST_FROM_HZ * 2.0 ** (band - 1) if band else 0.0
        high = CONTRAST_FROM_HZ * 2.0**band
        first = int(np.searchsorted(frequency_F, low, side="left")) - (band > 0)
        last = band == N_CONTRAST - 1
        after = len(frequency_F) if last else int(np.searchsorted(frequency_F, high, side="right"))
        count = max(1, int(np.rint(CONTRAST_QUANTILE * (after - first))))
        bands[band] = first, after if last else after - 1, count
    return bands


@kernel
def turn_over(spectrum_BF: np.ndarray, power_FB: np.ndarray, magnitude_FB: np.ndarray) -> None:
    """Take power and magnitude of the spectra of a block, and lay each bin of all its frames side by side.

    Args:
        spectrum_BF: `[B, F]` complex.
        power_FB: `[F, B]`, written.
        magnitude_FB: `[F, B]`, written.

    Cost: 0.15 us a frame.
    """
    for f in range(spectrum_BF.shape[1]):
        for t in range(spectrum_BF.shape[0]):
            real, imaginary = spectrum_BF[t, f].real, spectrum_BF[t, f].imag
            power_FB[f, t] = real * real + imaginary * imaginary
        # A loop of its own: roots of neighbours are taken several at a time.
        for t in range(spectrum_BF.shape[0]):
            magnitude_FB[f, t] = np.sqrt(power_FB[f, t])


@kernel
def centroid_bandwidth_rolloff(
    magnitude_FB: np.ndarray, frequency_F: np.ndarray, shape_DT: np.ndarray, first_frame: int
) -> None:
    """Measure where the magnitudes of each frame lie.

    Args:
        magnitude_FB: `[F, B]`.
        frequency_F: `[F]` Hz.
        shape_DT: its first three rows, Hz, are written at the block's columns: the mean frequency, weighted by
            magnitude; the standard deviation around it; the lowest frequency up to which 85 % of the summed
            magnitudes lie.  All are 0 where the spectrum is.
        first_frame: column of the block's first frame.

    Source: Klapuri and Davy (2007), chapter 5, as in librosa's spectral_centroid, _bandwidth and _rolloff.
    Cost: 0.1 us a frame.
    """
    n_bins, n_frames = magnitude_FB.shape
    # Each row by its number: numba then knows that its values are neighbours in memory.
    centroid_B = shape_DT[0, first_frame : first_frame + n_frames]
    bandwidth_B = shape_DT[1, first_frame : first_frame + n_frames]
    rolloff_B = shape_DT[2, first_frame : first_frame + n_frames]
    total_B, reached_B = np.zeros(n_frames), np.zeros(n_frames)
    centroid_B[:] = 0.0
    bandwidth_B[:] = 0.0
    rolloff_B[:] = 0.0
    for f in range(n_bins):
        for t in range(n_frames):
            total_B[t] += magnitude_FB[f, t]
            centroid_B[t] += frequency_F[f] * magnitude_FB[f, t]
    for t in range(n_frames):
        centroid_B[t] /= total_B[t] if total_B[t] > 0 else 1.0
    hz_per_bin = frequency_F[1]
    for f in range(n_bins):
        for t in range(n_frames):
            deviation = frequency_F[f] - centroid_B[t]
            bandwidth_B[t] += magnitude_FB[f, t] * (deviation * deviation)
            reached_B[t] += magnitude_FB[f, t]
            rolloff_B[t] += hz_per_bin if reached_B[t] < ROLLOFF_SHARE * total_B[t] else 0.0
    for t in range(n_frames):
        bandwidth_B[t] = np.sqrt(bandwidth_B[t] / (total_B[t] if total_B[t] > 0 else 1.0))


@kernel
def floored_products(power_FB: np.ndarray, product_GB: np.ndarray, mean_power_B: np.ndarray) -> None:
    """Multiply the powers of each frame in groups, and take their mean: what flatness is made of.

    The mean of 257 logarithms is the sum of the logarithms of 17 products, divided by 257.

    Args:
        power_FB: `[F, B]`; less than 1e-10 counts as 1e-10.
        product_GB: `[17, B]`, written.
        mean_power_B: `[B]`, written.

    Source: Dubnov (2004), as in librosa.feature.spectral_flatness.
    Cost: 0.05 us a frame.
    """
    n_bins, n_frames = power_FB.shape
    n_groups = product_GB.shape[0]
    mean_power_B[:] = 0.0
    product_GB[:] = 1.0
    for f in range(n_bins):
        product_B = product_GB[f % n_groups]
        for t in range(n_frames):
            power = max(power_FB[f, t], LOWEST_POWER)
            product_B[t] *= power
            mean_power_B[t] += power / n_bins


@kernel
def peaks_and_valleys(
    magnitude_FB: np.ndarray, bands_D3: np.ndarray, peak_DT: np.ndarray, valley_DT: np.ndarray, first_frame: int
) -> None:
    """Average the one or two largest, and smallest, magnitudes of each band: what contrast is made of.

    Args:
        magnitude_FB: `[F, B]`.
        bands_D3: `[D, 3]` first bin, the one after the last, and how many bins are averaged: 1 or 2.
        peak_DT: `[D, T]`, written at the block's columns.
        valley_DT: `[D, T]`, written at the block's columns.
        first_frame: column of the block's first frame.

    Source: Jiang et al. (2002), as in librosa.feature.spectral_contrast.
    Cost: 0.1 us a frame.
    """
    n_frames = magnitude_FB.shape[1]
    second_peak_B, second_valley_B = np.empty(n_frames), np.empty(n_frames)
    for d in range(bands_D3.shape[0]):
        first, after, count = bands_D3[d]
        peak_B = peak_DT[d, first_frame : first_frame + n_frames]
        valley_B = valley_DT[d, first_frame : first_frame + n_frames]
        peak_B[:] = 0.0
        second_peak_B[:] = 0.0
        valley_B[:] = np.inf
        second_valley_B[:] = np.inf
        for f in range(first, after):
            for t in range(n_frames):
                magnitude = magnitude_FB[f, t]
                second_peak_B[t] = max(second_peak_B[t], min(peak_B[t], magnitude))
                peak_B[t] = max(peak_B[t], magnitude)
                second_valley_B[t] = min(second_valley_B[t], max(valley_B[t], magnitude))
                valley_B[t] = min(valley_B[t], magnitude)
        if count == 2:
            for t in range(n_frames):
                peak_B[t] = (peak_B[t] + second_peak_B[t]) / 2
                valley_B[t] = (valley_B[t] + second_valley_B[t]) / 2


@kernel(reorder=True)
def mean_squares(padded_N: np.ndarray, n_frames: int, window: int) -> np.ndarray:
    """Average the squares of the samples in each frame.

    Args:
        padded_N: samples; frame k begins at 160 k.
        n_frames: T.
        window: samples of a frame.

    Returns:
        `[T]` mean squares.

    Source: librosa.feature.rms.
    Cost: 0.1 us a frame.
    """
    mean_square_T = np.empty(n_frames)
    for t in range(n_frames):
        total = 0.0
        for n in range(t * HOP, t * HOP + window):
            total += padded_N[n] * padded_N[n]
        mean_square_T[t] = total / window
    return mean_square_T


@kernel
def zero_crossing_rates(
    padded_N: np.ndarray, from_sample: int, to_sample: int, n_frames: int, window: int
) -> np.ndarray:
    """Count the sign changes in each frame.

    Args:
        padded_N: samples; frame k begins at 160 k.
        from_sample: where the sound begins in them.
        to_sample: where it has ended.  Its two ends are no zero crossings.
        n_frames: T.
        window: samples of a frame.

    Returns:
        `[T]` crossings a sample.

    Source: librosa.feature.zero_crossing_rate.
    Cost: 0.1 us a frame.
    """
    until_N = np.zeros(len(padded_N), dtype=np.int64)
    was_negative = padded_N[0] < -ZERO
    for n in range(1, len(padded_N)):
        negative = padded_N[n] < -ZERO
        until_N[n] = until_N[n - 1] + ((negative != was_negative) & (from_sample < n) & (n < to_sample))
        was_negative = negative
    rate_T = np.empty(n_frames)
    for t in range(n_frames):
        rate_T[t] = (until_N[t * HOP + window - 1] - until_N[t * HOP]) / window
    return rate_T
