"""Mel, MFCC, chroma and spectral shape from one short-time Fourier transform, by librosa's definitions.

Window 400 samples (Hann), transform 512, hop 160, centred on the grid; zero crossings and RMS read the same 400
samples.

Frames are transformed in blocks of 64, which stay in the processor's cache.  One bin of all frames of a block lies side
by side: each sum over the bins runs over 64 frames at once, in wide registers and without reordering, and a frame's
values do not depend on its place in a block.  Kernels give sums, peaks and products; NumPy takes their logarithms, many
at a time.

Cost: 0.25 ms a second of sound.

Shape legend: N samples at 16 kHz, T frames of 10 ms, B frames of one block, W samples of a window, F frequency bins,
D columns, G groups of bins (of the transform: of 8 frames).
"""

from dataclasses import dataclass

import numpy as np

from accent.dsp.compile import kernel
from accent.dsp.lanes import LANES, load, store
from accent.dsp.real_fourier import power_spectra
from accent.features.definitions import MEL_FROM_HZ, MEL_TO_HZ, N_FFT, SILENT_DB, WINDOW
from accent.features.kernels.filterbanks import (
    bin_frequencies,
    chroma_filters,
    mel_filters,
    nonzero_range,
    weighted_sums,
)
from accent.features.kernels.spectral_shape import (
    LOWEST_POWER,
    centroid_bandwidth_rolloff,
    contrast_bands,
    floored_products,
    mean_squares,
    peaks_and_valleys,
    zero_crossing_rates,
)
from accent.features.mel import cosine_transform
from accent.features.schema import N_CHROMA, N_CONTRAST, N_MELS, N_MFCC
from accent.grid import HOP

BLOCK = 64
"""Frames of one block."""
CONTRAST_RANGE_DB = 80.0
"""Peaks (and valleys) further below the highest of the recording are raised to this distance."""
FLATNESS_GROUPS = 17
"""Bins are multiplied in 17 groups of at most 16: with powers from 1e-10 to 1e19 no product leaves double precision."""

FREQUENCY_F = bin_frequencies(N_FFT)
WINDOW_W = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
MEL_DF = mel_filters(N_FFT, N_MELS, MEL_FROM_HZ, MEL_TO_HZ)
CHROMA_DF = chroma_filters(N_FFT, N_CHROMA)
MFCC_DD = cosine_transform(N_MFCC, N_MELS)
MEL_FROM_D, MEL_TO_D = nonzero_range(MEL_DF)
CHROMA_FROM_D, CHROMA_TO_D = nonzero_range(CHROMA_DF)
MFCC_FROM_D, MFCC_TO_D = nonzero_range(MFCC_DD)
CONTRAST_BANDS = contrast_bands(FREQUENCY_F)


@dataclass(frozen=True)
class SpectralColumns:
    """What is known of each frame before the recording's own peak is: all of it independent of other frames."""

    mel_DT: np.ndarray
    """`[80, T]` dB."""
    mfcc_DT: np.ndarray
    """`[20, T]` dB."""
    chroma_DT: np.ndarray
    """`[12, T]` power of each pitch class."""
    shape_DT: np.ndarray
    """`[4, T]` centroid, bandwidth and rolloff in Hz, natural logarithm of flatness."""
    peak_DT: np.ndarray
    """`[7, T]` mean of the largest magnitudes of each contrast band."""
    valley_DT: np.ndarray
    """`[7, T]` mean of the smallest magnitudes of each contrast band."""
    crossings_T: np.ndarray
    """`[T]` zero crossings a sample."""
    mean_square_T: np.ndarray
    """`[T]`."""


def spectral_frames(normalised_N: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the four spectral families in each frame of a recording.

    Args:
        normalised_N: sound at 16 kHz, filtered and normalised in loudness.

    Returns:
        "mel" `[T, 80]` dB, "mfcc" `[T, 20]` dB, "chroma" `[T, 12]` and "spectral" `[T, 13]`, columns in the schema's
        order.  Chroma and the shape of the spectrum are NaN in digital silence; levels end at -100 dB.

    Source: librosa 0.11 (McFee et al. 2015), as in the reference backend.
    """
    columns = spectral_columns(normalised_N)
    strongest_T = columns.chroma_DT.max(axis=0)
    chroma_DT = columns.chroma_DT / np.where(strongest_T > 0, strongest_T, 1.0)
    peak_db_DT, valley_db_DT = _decibels(columns.peak_DT), _decibels(columns.valley_DT)
    contrast_DT = _above_floor(peak_db_DT, peak_db_DT.max()) - _above_floor(valley_db_DT, valley_db_DT.max())
    rms_db_T = _decibels(columns.mean_square_T)
    spectral_DT = np.vstack([columns.shape_DT, contrast_DT, columns.crossings_T, rms_db_T])

    silent_T = rms_db_T <= SILENT_DB
    chroma_DT[:, silent_T] = np.nan
    spectral_DT[:-2, silent_T] = np.nan
    n_frames = len(normalised_N) // HOP + 1
    families = {"mel": columns.mel_DT, "mfcc": columns.mfcc_DT, "chroma": chroma_DT, "spectral": spectral_DT}
    return {name: columns_DT[:, :n_frames].T for name, columns_DT in families.items()}


def spectral_columns(samples_N: np.ndarray) -> SpectralColumns:
    """Transform the frames of a sound, block by block, and apply the kernels.

    Args:
        samples_N: sound at 16 kHz.

    Returns:
        The columns of a whole number of blocks: T is `len(samples_N) // 160 + 1`, rounded up to a multiple of 64.

    Cost: 2.4 us a frame.
    """
    # Whole blocks only, so that every frame takes the same path.
    n_frames = -(-(len(samples_N) // HOP + 1) // BLOCK) * BLOCK
    columns = SpectralColumns(
        *(np.empty((rows, n_frames)) for rows in (N_MELS, N_MFCC, N_CHROMA, 4, N_CONTRAST, N_CONTRAST)),
        *np.empty((2, n_frames)),
    )
    block_N = np.empty((BLOCK - 1) * HOP + WINDOW)
    sound_BW = np.lib.stride_tricks.sliding_window_view(block_N, WINDOW)[::HOP]
    frames_BW = np.zeros((BLOCK, N_FFT))
    centred_BW = frames_BW[:, (N_FFT - WINDOW) // 2 : (N_FFT + WINDOW) // 2]
    power_FB, magnitude_FB = np.empty((2, len(FREQUENCY_F), BLOCK))
    mel_DB, product_GB, mean_power_B = np.empty((N_MELS, BLOCK)), np.empty((FLATNESS_GROUPS, BLOCK)), np.empty(BLOCK)
    for first in range(0, n_frames, BLOCK):
        block = slice(first, first + BLOCK)
        sound = _copy_samples(samples_N, first, block_N)
        columns.mean_square_T[block] = mean_squares(block_N, BLOCK, WINDOW)
        columns.crossings_T[block] = zero_crossing_rates(block_N, sound.start, sound.stop, BLOCK, WINDOW)

        np.multiply(sound_BW, WINDOW_W, out=centred_BW)
        side_by_side(power_spectra(frames_BW, N_FFT), power_FB, magnitude_FB)
        weighted_sums(power_FB, MEL_DF, MEL_FROM_D, MEL_TO_D, mel_DB, 0)
        columns.mel_DT[:, block] = mel_db_DB = _decibels(mel_DB)
        weighted_sums(mel_db_DB, MFCC_DD, MFCC_FROM_D, MFCC_TO_D, columns.mfcc_DT, first)
        weighted_sums(power_FB, CHROMA_DF, CHROMA_FROM_D, CHROMA_TO_D, columns.chroma_DT, first)
        centroid_bandwidth_rolloff(magnitude_FB, FREQUENCY_F, columns.shape_DT, first)
        floored_products(power_FB, product_GB, mean_power_B)
        # Added one by one: NumPy's sum would choose its order by the size of the block.
        log_power_B = np.add.accumulate(np.log(product_GB))[-1]
        columns.shape_DT[3, block] = log_power_B / len(FREQUENCY_F) - np.log(mean_power_B)
        peaks_and_valleys(magnitude_FB, CONTRAST_BANDS, columns.peak_DT, columns.valley_DT, first)
    return columns


@kernel
def side_by_side(power_GF8: np.ndarray, power_FB: np.ndarray, magnitude_FB: np.ndarray) -> None:
    """Lay each bin of all frames of a block side by side, and take the magnitudes.

    Args:
        power_GF8: of `power_spectra`.
        power_FB: `[F, B]`, written.
        magnitude_FB: `[F, B]`, written.

    Cost: 0.1 us a frame.
    """
    n_bins, n_frames = power_FB.shape
    for group in range(n_frames // LANES):
        for f in range(n_bins):
            eight = load(power_GF8, (group * n_bins + f) * LANES)
            store(power_FB, f * n_frames + group * LANES, eight)
    for t in range(n_frames // LANES * LANES, n_frames):
        for f in range(n_bins):
            power_FB[f, t] = power_GF8[t // LANES, f, t % LANES]
    for f in range(n_bins):
        # Slices: roots of neighbours are then taken several at a time.
        power_B, magnitude_B = power_FB[f], magnitude_FB[f]
        for t in range(n_frames):
            magnitude_B[t] = np.sqrt(power_B[t])


def _copy_samples(samples_N: np.ndarray, first_frame: int, block_N: np.ndarray) -> slice:
    """Fill in the samples that a block reads, with zeros outside the sound; return where in them the sound lies."""
    start = first_frame * HOP - WINDOW // 2
    inside_N = samples_N[max(start, 0) : start + len(block_N)]
    sound = slice(max(-start, 0), max(-start, 0) + len(inside_N))
    block_N[: sound.start] = 0.0
    block_N[sound] = inside_N
    block_N[sound.stop :] = 0.0
    return sound


def _decibels(power: np.ndarray) -> np.ndarray:
    decibels = np.maximum(power, LOWEST_POWER)
    np.log10(decibels, out=decibels)
    decibels *= 10
    return decibels


def _above_floor(decibels_DT: np.ndarray, highest_db: float) -> np.ndarray:
    """Raise what lies more than 80 dB below the highest value of the recording."""
    return np.maximum(decibels_DT, highest_db - CONTRAST_RANGE_DB)
