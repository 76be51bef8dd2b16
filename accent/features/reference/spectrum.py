"""Mel, MFCC, chroma and spectral shape by librosa, from one short-time Fourier transform.

Window 400 samples (Hann), transform 512, hop 160, centred on the grid; zero crossings and RMS read the
same 400 samples.

Cost: about 8 ms a second of sound, most of it librosa's spectral shape.

Shape legend: N samples at 16 kHz, T frames of 10 ms, K frequency bins, D columns.
"""

import librosa
import numpy as np

from accent.features.definitions import CONTRAST_FROM_HZ, MEL_FROM_HZ, MEL_TO_HZ, N_FFT, SILENT_DB, WINDOW
from accent.features.schema import N_CHROMA, N_CONTRAST, N_MELS, N_MFCC
from accent.grid import HOP, SAMPLE_RATE


def spectral_frames(normalised_N: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the four spectral families in each frame of a recording.

    Args:
        normalised_N: sound at 16 kHz, filtered and normalised in loudness.

    Returns:
        "mel" `[T, 80]` dB, "mfcc" `[T, 20]` dB, "chroma" `[T, 12]` and "spectral" `[T, 13]`, columns in the schema's
        order.  Chroma and the shape of the spectrum are NaN in digital silence; levels end at -100 dB.

    Source: librosa 0.11 (McFee et al. 2015): melspectrogram, power_to_db, mfcc (orthonormal DCT-II), chroma_stft,
    spectral_centroid, spectral_bandwidth, spectral_rolloff (0.85), spectral_flatness, spectral_contrast,
    zero_crossing_rate, rms.
    """
    stft_KT = librosa.stft(
        normalised_N, n_fft=N_FFT, hop_length=HOP, win_length=WINDOW, window="hann", center=True, pad_mode="constant"
    )
    magnitude_KT = np.abs(stft_KT)
    power_KT = magnitude_KT**2
    mel_DT = librosa.power_to_db(
        librosa.feature.melspectrogram(
            S=power_KT, sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=MEL_FROM_HZ, fmax=MEL_TO_HZ
        ),
        top_db=None,
    )
    rms_T = librosa.feature.rms(y=normalised_N, frame_length=WINDOW, hop_length=HOP, dtype=np.float64)[0]
    rms_db_T = librosa.amplitude_to_db(rms_T, ref=1.0, top_db=None)
    silent_T = rms_db_T <= SILENT_DB
    # tuning=0: chroma bins lie on A4 = 440 Hz for everybody, not on an estimate from the speaker's own harmonics.
    chroma_DT = librosa.feature.chroma_stft(S=power_KT, sr=SAMPLE_RATE, n_fft=N_FFT, tuning=0.0, n_chroma=N_CHROMA)
    shape_DT = _shape(magnitude_KT)
    chroma_DT[:, silent_T] = np.nan
    shape_DT[:, silent_T] = np.nan
    crossings_T = librosa.feature.zero_crossing_rate(normalised_N, frame_length=WINDOW, hop_length=HOP)[0]
    return {
        "mel": mel_DT.T,
        "mfcc": librosa.feature.mfcc(S=mel_DT, n_mfcc=N_MFCC, dct_type=2, norm="ortho").T,
        "chroma": chroma_DT.T,
        "spectral": np.vstack([shape_DT, crossings_T, rms_db_T]).T,
    }


def _shape(magnitude_KT: np.ndarray) -> np.ndarray:
    """Return `[11, T]`: centroid, bandwidth, rolloff, natural logarithm of flatness, seven contrasts."""
    centroid_T = librosa.feature.spectral_centroid(S=magnitude_KT, sr=SAMPLE_RATE, n_fft=N_FFT)
    return np.vstack(
        [
            centroid_T,
            librosa.feature.spectral_bandwidth(S=magnitude_KT, sr=SAMPLE_RATE, n_fft=N_FFT, centroid=centroid_T),
            librosa.feature.spectral_rolloff(S=magnitude_KT, sr=SAMPLE_RATE, n_fft=N_FFT),
            np.log(librosa.feature.spectral_flatness(S=magnitude_KT)),
            librosa.feature.spectral_contrast(
                S=magnitude_KT, sr=SAMPLE_RATE, n_fft=N_FFT, fmin=CONTRAST_FROM_HZ, n_bands=N_CONTRAST - 1
            ),
        ]
    )
