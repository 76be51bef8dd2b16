"""Noise and music made of numbers: what is not speech, for the tests and the measurement of the speech check.

Every sound is a pure function of its kind and seed, at 16 kHz, with a peak of 0.5.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

RATE = 16_000


def _clock(seconds: float) -> np.ndarray:
    return np.arange(int(seconds * RATE)) / RATE


def _coloured(draw: np.random.Generator, n: int, slope: float) -> np.ndarray:
    """Noise whose power falls with frequency to the power of the slope."""
    spectrum = np.fft.rfft(draw.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20)
    return np.fft.irfft(spectrum * frequency ** (-slope / 2), n)


def white(draw: np.random.Generator, seconds: float) -> np.ndarray:
    return draw.standard_normal(int(seconds * RATE))


def pink(draw: np.random.Generator, seconds: float) -> np.ndarray:
    return _coloured(draw, int(seconds * RATE), draw.uniform(0.7, 1.3))


def brown(draw: np.random.Generator, seconds: float) -> np.ndarray:
    return _coloured(draw, int(seconds * RATE), draw.uniform(1.7, 2.3))


def band(draw: np.random.Generator, seconds: float) -> np.ndarray:
    low = draw.uniform(200, 2500)
    filtered: np.ndarray = sosfilt(
        butter(4, [low, low * draw.uniform(1.2, 2.5)], "bandpass", fs=RATE, output="sos"), white(draw, seconds)
    )
    return filtered


def gusts(draw: np.random.Generator, seconds: float) -> np.ndarray:
    """Noise whose loudness wanders slowly, as wind or waves do."""
    noise = pink(draw, seconds)
    swell = np.interp(
        _clock(seconds), np.arange(0, seconds + 1, 0.7), draw.uniform(0.05, 1, len(np.arange(0, seconds + 1, 0.7)))
    )
    return noise * swell


def rain(draw: np.random.Generator, seconds: float) -> np.ndarray:
    drops = (draw.random(int(seconds * RATE)) < draw.uniform(20, 300) / RATE) * draw.exponential(1, int(seconds * RATE))
    return lfilter([1], [1, -0.9, 0.6], drops) + 0.02 * white(draw, seconds)


def hum(draw: np.random.Generator, seconds: float) -> np.ndarray:
    clock, base = _clock(seconds), draw.choice([50.0, 60.0])
    tones = sum(
        draw.uniform(0.1, 1) / k * np.sin(2 * np.pi * base * k * clock + draw.uniform(0, 6)) for k in range(1, 20)
    )
    return tones + 0.05 * white(draw, seconds)


def engine(draw: np.random.Generator, seconds: float) -> np.ndarray:
    clock = _clock(seconds)
    speed = draw.uniform(25, 90) * (1 + 0.1 * np.sin(2 * np.pi * draw.uniform(0.1, 0.5) * clock))
    phase = 2 * np.pi * np.cumsum(speed) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, 12)) * (1 + 0.3 * white(draw, seconds)) + 0.1 * brown(
        draw, seconds
    )


def clicks(draw: np.random.Generator, seconds: float) -> np.ndarray:
    """Typing or steps: bursts of noise at irregular times over a quiet floor."""
    sound = 0.003 * white(draw, seconds)
    at = 0.05
    while at < seconds - 0.1:
        n = int(draw.uniform(0.004, 0.03) * RATE)
        start = int(at * RATE)
        sound[start : start + n] += draw.standard_normal(n) * np.exp(-np.arange(n) / n * 4)
        at += draw.uniform(0.08, 0.5)
    return sound


def beeps(draw: np.random.Generator, seconds: float) -> np.ndarray:
    clock = _clock(seconds)
    on = np.sin(2 * np.pi * draw.uniform(0.8, 3) * clock) > 0
    return np.sin(2 * np.pi * draw.uniform(400, 2000) * clock) * on + 0.003 * white(draw, seconds)


def _note(draw: np.random.Generator, hertz: float, seconds: float, timbre: str) -> np.ndarray:
    clock = _clock(seconds)
    vibrato = 0.0 if timbre in ("piano", "organ") else draw.uniform(0.002, 0.012)
    phase = 2 * np.pi * np.cumsum(hertz * (1 + vibrato * np.sin(2 * np.pi * 5.5 * clock))) / RATE
    fall = {"piano": 1.4, "organ": 0.8, "strings": 1.0, "flute": 2.5}[timbre]
    tone = sum(np.sin(k * phase) / k**fall for k in range(1, 16) if k * hertz < 7500)
    attack = np.minimum(clock / 0.02, 1) * np.minimum((seconds - clock) / 0.03, 1)
    return tone * attack * (np.exp(-clock * 3) if timbre == "piano" else 1)


def _drums(draw: np.random.Generator, seconds: float, beat: float) -> np.ndarray:
    sound = np.zeros(int(seconds * RATE))
    for number, at in enumerate(np.arange(0, seconds - 0.15, beat / 2)):
        n, start = int(0.12 * RATE), int(at * RATE)
        clock = np.arange(n) / RATE
        if number % 4 == 0:
            hit = np.sin(2 * np.pi * 60 * clock) * np.exp(-clock * 25)
        else:
            hit = 0.4 * draw.standard_normal(n) * np.exp(-clock * 60)
        sound[start : start + n] += hit
    return sound


SCALE = (0, 2, 4, 5, 7, 9, 11)


def _pitch(draw: np.random.Generator, key: float) -> float:
    return key * 2 ** ((draw.choice(SCALE) + 12 * draw.integers(0, 2)) / 12)


def melody(draw: np.random.Generator, seconds: float) -> np.ndarray:
    timbre, beat, key = (
        draw.choice(["piano", "organ", "strings", "flute"]),
        draw.uniform(0.2, 0.6),
        draw.uniform(110, 330),
    )
    notes = [_note(draw, _pitch(draw, key), beat, timbre) for _ in range(int(seconds / beat) + 1)]
    return np.concatenate(notes)[: int(seconds * RATE)]


def chords(draw: np.random.Generator, seconds: float) -> np.ndarray:
    timbre, beat, key = draw.choice(["piano", "organ", "strings"]), draw.uniform(0.5, 1.5), draw.uniform(90, 200)
    bars = []
    for _ in range(int(seconds / beat) + 1):
        root = _pitch(draw, key)
        bars.append(sum(_note(draw, root * 2 ** (step / 12), beat, timbre) for step in (0, 4, 7)))
    return np.concatenate(bars)[: int(seconds * RATE)]


def band_of_three(draw: np.random.Generator, seconds: float) -> np.ndarray:
    beat = draw.uniform(0.3, 0.6)
    return melody(draw, seconds) * 0.4 + chords(draw, seconds) * 0.3 + _drums(draw, seconds, beat) * 2


def drums(draw: np.random.Generator, seconds: float) -> np.ndarray:
    return _drums(draw, seconds, draw.uniform(0.25, 0.6)) + 0.002 * white(draw, seconds)


NOISE: tuple[Callable[[np.random.Generator, float], np.ndarray], ...] = (
    white, pink, brown, band, gusts, rain, hum, engine, clicks, beeps,
)  # fmt: skip
MUSIC: tuple[Callable[[np.random.Generator, float], np.ndarray], ...] = (melody, chords, band_of_three, drums)


def synthesise(kind: Callable[[np.random.Generator, float], np.ndarray], seed: int, seconds: float = 4.0) -> np.ndarray:
    """Return one sound, float64, with a peak of 0.5."""
    sound = kind(np.random.default_rng(seed), seconds)
    return 0.5 * sound / np.abs(sound).max()
