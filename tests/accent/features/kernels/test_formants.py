"""Formants of the compiled kernels: Praat's numbers on the same signal, and resonances that are known."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from accent.audio.prepare import AudioConfig, load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels.burg import burg_coefficients
from accent.features.kernels.formants import formant_frames, formant_window, resampled_formants
from accent.features.reference import formants as reference
from tests.support.sound.synthesis import RATE, VOWELS, noise, vowel

CONFIG = FeatureConfig()


@pytest.fixture(scope="module")
def real(saa: Path) -> np.ndarray:
    return load_speech(saa / "FRA010" / "wav" / "arctic_a0002.wav", AudioConfig()).unfiltered_N


def errors(found_T8: np.ndarray, expected_T8: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hertz that frequencies differ by, and ratios that bandwidths differ by, where both are defined."""
    off = np.abs(found_T8 - expected_T8)
    off[:, 4:] /= np.abs(expected_T8[:, 4:])
    hertz, ratios = off[:, :4], off[:, 4:]
    return hertz[np.isfinite(hertz)], ratios[np.isfinite(ratios)]


def assert_same_formants(found_T8: np.ndarray, expected_T8: np.ndarray) -> None:
    np.testing.assert_array_equal(np.isnan(found_T8), np.isnan(expected_T8))
    hertz, ratios = errors(found_T8, expected_T8)
    # A pole that all but lies on the margin's or another pole's place is the less well defined.
    assert hertz.max(initial=0) < 1e-4
    assert ratios.max(initial=0) < 1e-4


def test_formants_of_real_speech_are_praats(saa: Path) -> None:
    paths = sorted(saa.glob("*/wav/*.wav"))
    hertz: list[np.ndarray] = []
    ratios: list[np.ndarray] = []
    n_values, n_undefined, n_differ = 0, 0, 0
    for path in paths:
        samples = load_speech(path, AudioConfig()).unfiltered_N
        found, expected = formant_frames(samples, CONFIG), reference.formant_frames(samples, CONFIG)
        for collected, part in zip((hertz, ratios), errors(found, expected), strict=True):
            collected.append(part)
        n_values += expected.size
        n_undefined += int(np.isnan(expected).sum())
        n_differ += int((np.isnan(found) != np.isnan(expected)).sum())
    print(
        f"\n{len(paths)} files, {n_values} values; undefined {n_undefined / n_values:.3%}, in other places {n_differ}"
    )
    print(f"{'':22}{'median':>10}{'99.9 %':>10}{'largest':>10}")
    for name, parts, allowed in (("F1-F4, Hz", hertz, 0.1), ("B1-B4, ratio", ratios, 0.001)):
        off = np.concatenate(parts)
        print(f"{name:22}{np.median(off):10.1e}{np.quantile(off, 0.999):10.1e}{off.max():10.1e}")
        assert (off <= allowed).mean() >= 0.999
        assert np.quantile(off, 0.999) < 1e-6
    assert n_differ == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"formant_ceiling_hz": 5000.0},
        {"formant_ceiling_hz": 5050.0},
        {"formant_ceiling_hz": 8000.0},
        {"formant_ceiling_hz": 1000.0},
        {"formants_below_ceiling": 4},
        {"formants_below_ceiling": 7},
        {"formants_below_ceiling": 10},
        {"formant_pre_emphasis_hz": 1.0},
        {"formant_pre_emphasis_hz": 2000.0},
        {"formant_window_seconds": 0.005},
        {"formant_window_seconds": 0.009},
        {"formant_window_seconds": 0.02505},
        {"formant_window_seconds": 0.0333},
        {"formant_window_seconds": 0.1},
    ],
    ids=lambda settings: ", ".join(f"{key}={value}" for key, value in settings.items()),
)
def test_every_setting_does_what_it_does_in_praat(real: np.ndarray, settings: dict[str, float]) -> None:
    config = dataclasses.replace(CONFIG, **settings)  # type: ignore[arg-type]
    samples = real[8_000:24_000]
    assert_same_formants(formant_frames(samples, config), reference.formant_frames(samples, config))


@pytest.mark.parametrize("n_samples", [1, 2, 10, 159, 160, 161, 400, 1000])
def test_the_shortest_recordings_have_praats_formants_too(real: np.ndarray, n_samples: int) -> None:
    samples = real[16_000 : 16_000 + n_samples]
    found = formant_frames(samples, CONFIG)
    assert found.shape == (n_samples // 160 + 1, 8)
    assert_same_formants(found, reference.formant_frames(samples, CONFIG))


def _click() -> np.ndarray:
    samples = np.zeros(RATE)
    samples[[5000, 5001, 9000]] = 1.0, 0.5, -0.5
    return samples


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE),
        np.full(RATE, 0.3),
        _click(),
        np.clip(5 * np.sin(2 * np.pi * 150 * np.arange(RATE) / RATE), -1, 1),
        np.concatenate([np.zeros(8000), vowel(120.0, VOWELS["a"], 0.5), np.full(8000, 0.25)]),
        1e-150 * noise(1.0),
    ],
    ids=["silence", "constant", "clicks", "clipped", "silence about a vowel", "faint"],
)
def test_signals_that_are_no_speech_are_undefined_where_praats_are(samples: np.ndarray) -> None:
    assert_same_formants(formant_frames(samples, CONFIG), reference.formant_frames(samples, CONFIG))


def test_a_frame_is_the_same_alone_and_among_others(real: np.ndarray) -> None:
    together = resampled_formants(real, 16_000, np.zeros(200, dtype=bool), CONFIG)
    for frame in (10, 63, 64, 150):
        # The window reaches 25 ms about the frame, and pre-emphasis one sample further.
        part = real[160 * frame - 480 : 160 * frame + 480]
        np.testing.assert_array_equal(
            resampled_formants(part, 16_000, np.zeros(4, dtype=bool), CONFIG)[3], together[frame]
        )


def test_the_same_sound_gives_the_same_bytes(real: np.ndarray) -> None:
    assert formant_frames(real, CONFIG).tobytes() == formant_frames(real.copy(), CONFIG).tobytes()


def test_a_window_too_short_for_the_formants_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="formant_window_seconds"):
        FeatureConfig(formant_ceiling_hz=1000.0, formants_below_ceiling=10, formant_window_seconds=0.005)


def burg_by_definition(frame_W: np.ndarray, order: int) -> np.ndarray:
    forward, backward, weights = frame_W[1:], frame_W[:-1], np.zeros(0)
    for _ in range(order):
        reflection = 2 * (forward @ backward) / (forward @ forward + backward @ backward)
        weights = np.append(weights - reflection * weights[::-1], reflection)
        forward, backward = (forward - reflection * backward)[1:], (backward - reflection * forward)[:-1]
    return weights


@pytest.mark.parametrize(("width", "order"), [(550, 10), (551, 8), (40, 20), (12, 11)])
def test_burgs_method_follows_its_definition(width: int, order: int) -> None:
    samples = noise(0.5)
    window = np.hanning(width + 2)[1:-1]
    found = np.empty((20, order))
    burg_coefficients(samples, 7, 110, window, found)
    for frame, weights in enumerate(found):
        start = 7 + 110 * frame
        np.testing.assert_allclose(
            weights, burg_by_definition(samples[start : start + width] * window, order), rtol=1e-9, atol=1e-11
        )


def test_burgs_method_finds_the_predictor_a_sound_was_made_with() -> None:
    weights = np.array([1.2, -0.9, 0.3, -0.2])
    samples = lfilter([1.0], np.concatenate([[1.0], -weights]), noise(10.0))
    found = np.empty((1, 4))
    burg_coefficients(samples, 0, 1, np.ones(len(samples)), found)
    np.testing.assert_allclose(found[0], weights, atol=0.01)


def test_burgs_method_has_no_answer_for_zeros_and_stops_where_nothing_is_left_to_predict() -> None:
    found = np.empty((2, 4))
    burg_coefficients(np.concatenate([np.zeros(32), np.ones(32)]), 0, 32, np.ones(32), found)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], [1.0, 0.0, 0.0, 0.0])


def test_the_window_is_even_in_length_and_highest_in_the_middle() -> None:
    window = formant_window(0.025, 11_000)
    assert len(window) == 550 and len(formant_window(0.02505, 11_000)) == 550
    np.testing.assert_allclose(window, window[::-1], rtol=1e-12)
    assert 0 < window[0] < 1e-6 and 0.999 < window[275] < 1
