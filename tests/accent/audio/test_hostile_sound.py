"""Sound that nobody should record: every column of the numba backend is a number or undefined, and nothing hangs."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accent.audio.prepare import AudioConfig, Speech, load_speech, prepare_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import Features, extract, find_backend
from accent.features.schema import N_COLUMNS
from accent.grid import HOP
from tests.support.sound.synthesis import RATE, noise, vowel

CONFIG = FeatureConfig(backend="numba")


def clock(n_samples: int) -> np.ndarray:
    return np.arange(n_samples) / RATE


SOUNDS: dict[str, Callable[[int], np.ndarray]] = {
    "digital silence": np.zeros,
    "an offset": lambda n: np.full(n, 0.3),
    "a click": lambda n: np.eye(1, n, n // 2)[0],
    "a step": lambda n: (np.arange(n) > n // 2).astype(float),
    "a ramp": lambda n: np.linspace(-1, 1, n),
    "full-scale square wave": lambda n: np.sign(np.sin(2 * np.pi * 110 * clock(n) + 0.1)),
    "the highest frequency": lambda n: (-1.0) ** np.arange(n),
    "a tone at the pitch floor": lambda n: np.sin(2 * np.pi * 75 * clock(n)),
    "a tone at the pitch ceiling": lambda n: np.sin(2 * np.pi * 600 * clock(n)),
    "a tone far above": lambda n: np.sin(2 * np.pi * 7000 * clock(n)),
    "noise": lambda n: noise(n / RATE)[:n],
    "noise of one bit": lambda n: np.round(0.6 * noise(n / RATE)[:n]) / 32768,
    "noise beneath everything": lambda n: 1e-12 * noise(n / RATE)[:n],
    "enormous noise": lambda n: 1e5 * noise(n / RATE)[:n],
    "denormal numbers": lambda n: 1e-310 * noise(n / RATE)[:n],
    "clipped speech": lambda n: np.clip(30 * np.resize(vowel(130, (600, 1100, 2500, 3500), 1.0), n), -1, 1),
    "speech in silence": lambda n: np.where(clock(n) % 1 < 0.5, np.resize(vowel(220, (300, 2300, 3000), 1.0), n), 0.0),
    "speech on an offset": lambda n: 0.5 + np.resize(0.1 * vowel(90, (600, 1100, 2500), 1.0), n),
}


def bare(samples_N: np.ndarray) -> Speech:
    """A recording as it is: no step of the preparation may refuse it."""
    return Speech(samples_N, samples_N, 0, len(samples_N) // HOP + 1, {})


@pytest.mark.parametrize(
    "n_samples", [10, 161, 8001, *(pytest.param(number, marks=pytest.mark.slow) for number in (159, 160, 399, 1600))]
)
@pytest.mark.parametrize("name", SOUNDS)
def test_every_value_is_a_number_or_undefined(name: str, n_samples: int) -> None:
    speech = bare(np.asarray(SOUNDS[name](n_samples), dtype=np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = extract(speech, CONFIG, intervals=[(0.0, 0.05, "S"), (0.05, 0.2, "AA")])
    assert features.frames_TD.shape == (speech.n_frames, N_COLUMNS)
    assert not np.isinf(features.frames_TD).any()
    assert not np.isinf(list(features.utterance.values())).any()


@pytest.mark.parametrize("name", SOUNDS)
def test_the_same_columns_are_defined_as_by_praat_and_librosa(name: str) -> None:
    speech = bare(np.asarray(SOUNDS[name](8001), dtype=np.float64))
    ours_TD, theirs_TD = (find_backend(backend)(speech, CONFIG, None).frames_TD for backend in ("numba", "reference"))
    differently_D = (np.isfinite(ours_TD) != np.isfinite(theirs_TD)).mean(axis=0)
    assert differently_D.mean() < 0.01, differently_D


def extracted(path: Path) -> Features | None:
    """Featurize a file; None where it is refused with a reason."""
    try:
        return extract(load_speech(path, CONFIG.audio), CONFIG)
    except AccentError as error:
        assert str(path) in str(error)
        return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 96_000]),
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE"]),
    channels=st.integers(1, 3),
    n_samples=st.integers(0, 30_000),
    kept_bytes=st.none() | st.integers(0, 5_000),
    spoiled=st.sampled_from(["not", "not", "nan", "infinity", "offset", "clipping", "silence"]),
    seed=st.integers(0, 99),
)
def test_a_file_is_featurized_or_refused_with_a_reason(
    tmp_path: Path,
    rate: int,
    subtype: str,
    channels: int,
    n_samples: int,
    kept_bytes: int | None,
    spoiled: str,
    seed: int,
) -> None:
    samples_NC = 0.1 * np.random.default_rng(seed).standard_normal((n_samples, channels))
    if spoiled in ("nan", "infinity") and n_samples:
        samples_NC[n_samples // 2] = np.nan if spoiled == "nan" else np.inf
    elif spoiled == "offset":
        samples_NC += 0.4
    elif spoiled == "clipping":
        samples_NC *= 100
    elif spoiled == "silence":
        samples_NC[:] = 0
    path = tmp_path / "sound.wav"
    with np.errstate(invalid="ignore"):
        soundfile.write(path, samples_NC, rate, subtype=subtype)
    if kept_bytes is not None:
        path.write_bytes(path.read_bytes()[:kept_bytes])
    features = extracted(path)
    if features is not None:
        assert not np.isinf(features.frames_TD).any()
        assert np.isfinite(features.frames_TD).any()


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_a_voice_keeps_its_pitch_at_any_sampling_rate(rate: int) -> None:
    clock_N = np.arange(rate) / rate
    voice_N = sum(np.sin(2 * np.pi * 140 * number * clock_N) / number for number in range(1, 20))
    features = extract(prepare_speech(0.1 * voice_N, rate, AudioConfig()), CONFIG)
    assert features.utterance["f0_median_hz"] == pytest.approx(140, abs=0.1)
