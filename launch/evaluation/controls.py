"""Controls: how well accents are told from how the recordings were made.

A figure well above chance here means that recordings of different accents were made differently, and that a part of
every other figure may be that.  Two controls: what is there when nobody speaks (pauses, their spectrum, the level),
and the long-term average spectrum of everything.

Shapes: N utterances, T frames.  Cost: a pass over the frames.
"""

import numpy as np

from accent.features.schema import N_MELS
from accent.grid import FRAMES_PER_SECOND
from launch.evaluation.baselines.vectors import MeanVectors
from launch.evaluation.utterances import Utterances

PAUSE_BELOW_DB = 25.0
"""A frame so far below the utterance's loudest frames is a pause where there is no alignment."""
FEWEST_FRAMES = 3
"""Fewer pause frames say nothing of the spectrum: the quietest ones stand for them."""


def long_term_spectrum(utterances: Utterances) -> np.ndarray:
    """Average the power of every mel band over an utterance, its level removed: float64 [N, 80] in dB."""
    return np.stack([_spectrum(utterances.family(number, "mel")) for number in range(len(utterances))])


def silence_and_level(utterances: Utterances) -> np.ndarray:
    """Describe what is there when nobody speaks.

    Returns:
        float64 [N, 86]: the mean spectrum of the pauses; level of speech and of pauses in dB; share and number of
        pauses a second; log of their mean duration; log duration of the utterance.
    """
    return np.stack([_pauses(utterances, number) for number in range(len(utterances))])


CONTROLS = (
    MeanVectors("silence_only", "control: silence and level + LDA", silence_and_level),
    MeanVectors("long_term_spectrum", "control: long-term spectrum + LDA", long_term_spectrum),
)


def _spectrum(mel_TD: np.ndarray) -> np.ndarray:
    power_D = 10 * np.log10((10 ** (mel_TD / 10)).mean(0))
    return power_D - power_D.mean()


def _pauses(utterances: Utterances, number: int) -> np.ndarray:
    mel_TD = utterances.family(number, "mel")
    level_T = mel_TD.mean(1)
    phone_T = utterances.reader.phones(number)
    loudest = np.quantile(level_T, 0.95)
    silent_T = level_T < loudest - PAUSE_BELOW_DB if phone_T is None else phone_T <= 0
    quiet_T = silent_T
    if silent_T.sum() < FEWEST_FRAMES:
        quiet_T = level_T <= np.sort(level_T)[FEWEST_FRAMES - 1]
    spoken_T = ~silent_T if (~silent_T).any() else np.ones_like(silent_T)
    begins = np.flatnonzero(silent_T & ~np.append(False, silent_T[:-1]))
    seconds = len(level_T) / FRAMES_PER_SECOND
    mean_pause = silent_T.sum() / FRAMES_PER_SECOND / max(len(begins), 1)
    return np.concatenate(
        [
            mel_TD[quiet_T].mean(0)[:N_MELS],
            [level_T[spoken_T].mean(), level_T[quiet_T].mean(), silent_T.mean(), len(begins) / seconds],
            [np.log(mean_pause + 1 / FRAMES_PER_SECOND), np.log(seconds)],
        ]
    )
