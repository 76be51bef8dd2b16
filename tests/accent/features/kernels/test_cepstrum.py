"""Cepstral peak prominence: Praat's own objects and numbers, brute force, synthetic signals, hard recordings."""

import dataclasses
from pathlib import Path

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from accent.audio.prepare import Speech, load_speech
from accent.dsp import robust_line
from accent.dsp.averaging import averaging_weights
from accent.dsp.resample import brick_wall_resample
from accent.dsp.silence import without_sound
from accent.dsp.windows import gaussian_window
from accent.features.config import FeatureConfig
from accent.features.kernels import cepstrogram, cepstrum
from accent.features.reference import cepstrum as reference
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound import synthesis

CONFIG = FeatureConfig()
NOISE_N = np.random.default_rng(1).standard_normal(SAMPLE_RATE)
INSIDE = slice(20, -20)
"""Frames whose windows see no end of a synthetic signal."""


def ours(samples_N: np.ndarray, config: FeatureConfig = CONFIG) -> tuple[np.ndarray, float]:
    return cepstrum.cepstral_peaks(samples_N, config, 0, len(samples_N) // HOP + 1)


def praats_cpps(samples_N: np.ndarray, config: FeatureConfig, first_frame: int, n_frames: int) -> float:
    speech = Speech(samples_N, samples_N, first_frame, n_frames, {})
    return reference.smoothed_cepstral_peak(speech, config)


def praats_values(praats: parselmouth.Data) -> np.ndarray:
    """Return the values of a PowerCepstrogram, a row for each frame."""
    return call(praats, "To Matrix").values.T


def our_cepstra(samples_N: np.ndarray, config: FeatureConfig = CONFIG) -> np.ndarray:
    sizes = cepstrogram.CepstrumSizes.of(config)
    n_frames = len(samples_N) // HOP + 1
    resampled_N = brick_wall_resample(samples_N, cepstrogram.RATE)
    emphasised_N = cepstrogram.emphasised_with_room(resampled_N, n_frames, sizes)
    window_W = gaussian_window(sizes.window_length)
    return cepstrogram.power_cepstra(emphasised_N, 0, n_frames, window_W, sizes.fft_length)


@pytest.fixture(scope="module")
def recordings(saa: Path) -> list[Speech]:
    return [load_speech(path, CONFIG.audio) for path in sorted(saa.glob("*/wav/*.wav"))[::8]]


# Agreement with Praat


def test_real_speech_has_praats_prominences(recordings: list[Speech]) -> None:
    frames, whole = [], []
    for speech in recordings:
        praat_T = reference.cepstral_peak_prominence(speech.unfiltered_N, CONFIG)
        praat_cpps = reference.smoothed_cepstral_peak(speech, CONFIG)
        prominence_T, cpps = cepstrum.cepstral_peaks(speech.unfiltered_N, CONFIG, speech.first_frame, speech.n_frames)
        np.testing.assert_array_equal(np.isnan(prominence_T), np.isnan(praat_T))
        frames.append(np.abs(prominence_T - praat_T))
        whole.append(abs(cpps - praat_cpps))
    error_T = np.concatenate(frames)
    print(f"\n|d| in dB, {len(recordings)} files, {len(error_T)} frames   median       p99       max")
    for name, errors in (("cepstral peak prominence", error_T), ("CPPS, one a file", np.array(whole))):
        median, most, worst = np.nanpercentile(errors, [50, 99, 100])
        print(f"{name:40} {median:9.1e} {most:9.1e} {worst:9.1e}")
    assert np.nanmax(error_T) < 1e-6
    assert max(whole) < 1e-6


@pytest.mark.parametrize("floor_hz", [45.0, 55.0, 60.0, 64.0, 70.0, 120.0])
def test_power_cepstra_are_praats_whatever_the_window(floor_hz: float) -> None:
    config = dataclasses.replace(CONFIG, cpp_floor_hz=floor_hz)
    praat_TQ = praats_values(reference.power_cepstrogram(NOISE_N, config))
    cepstra_TQ = our_cepstra(NOISE_N, config)
    assert cepstra_TQ.shape == praat_TQ.shape
    assert np.percentile(np.abs(np.log(cepstra_TQ / praat_TQ)), 99.9) < 1e-6


@pytest.mark.parametrize(
    "changes",
    [
        {"cpp_ceiling_hz": 500.0},
        {"cpp_floor_hz": 45.0, "cpp_ceiling_hz": 250.0},
        {"cpp_trend_from_seconds": 0.0, "cpp_trend_to_seconds": 0.06},
        {"cpp_trend_from_seconds": 0.002, "cpp_trend_to_seconds": 0.0299},
        {"cpps_time_average_seconds": 0.0},
        {"cpps_quefrency_average_seconds": 0.0},
        {"cpps_time_average_seconds": 0.055, "cpps_quefrency_average_seconds": 0.00123},
        {"cpps_quefrency_average_seconds": 0.004, "cpp_ceiling_hz": 1000.0, "cpp_trend_from_seconds": 0.0},
        {"cpps_time_average_seconds": 1.0, "cpps_quefrency_average_seconds": 1.0},
    ],
)
@pytest.mark.parametrize("kept", [(0, 101), (17, 40), (17, 2), (100, 1)])
def test_prominences_are_praats_whatever_the_settings_and_the_kept_region(
    changes: dict[str, float], kept: tuple[int, int]
) -> None:
    config = dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]
    prominence_T, cpps = cepstrum.cepstral_peaks(NOISE_N, config, *kept)
    np.testing.assert_allclose(prominence_T, reference.cepstral_peak_prominence(NOISE_N, config), atol=1e-6)
    assert cpps == pytest.approx(praats_cpps(NOISE_N, config, *kept), abs=1e-6)


@pytest.mark.parametrize(
    "samples_N",
    [
        *(NOISE_N[:length] for length in (10, 100, 159, 160, 161, 1000, 1601)),
        np.zeros(8000),
        1e-8 * NOISE_N,
        1e6 * NOISE_N,
        np.clip(100 * NOISE_N, -1, 1),
        np.where(np.arange(SAMPLE_RATE) // 4000 == 1, 0.0, NOISE_N),
        np.where(np.arange(8000) == 4000, 1.0, 0.0),
    ],
    ids=lambda samples_N: f"{len(samples_N)} samples up to {np.abs(samples_N).max():.2g}",
)
def test_hard_recordings_are_measured_as_praat_measures_them(samples_N: np.ndarray) -> None:
    prominence_T, cpps = ours(samples_N)
    praat_T = reference.cepstral_peak_prominence(samples_N, CONFIG)
    np.testing.assert_allclose(prominence_T, praat_T, atol=1e-6, equal_nan=True)
    # Digital silence beside sound is rounding errors of the resampling: prominences of noise, in both.
    assert cpps == pytest.approx(praats_cpps(samples_N, CONFIG, 0, len(praat_T)), abs=1e-4, nan_ok=True)


@pytest.mark.parametrize(("time_average", "quefrency_average"), [(0.019, 0.0), (0.02, 0.0005), (0.047, 0.00062)])
def test_averages_are_those_of_praats_smoothed_cepstrogram(time_average: float, quefrency_average: float) -> None:
    praat = reference.power_cepstrogram(NOISE_N, CONFIG)
    praat_TQ = praats_values(call(praat, "Smooth", time_average, quefrency_average))
    values_TQ = praats_values(praat)
    smoothed_TQ = cepstrum.smoothed(
        values_TQ.copy(),
        0,
        averaging_weights(len(values_TQ), time_average * 100, 0.5),
        np.ascontiguousarray(averaging_weights(values_TQ.shape[1], quefrency_average * 10_000, 0.0).T),
    )
    np.testing.assert_allclose(smoothed_TQ, praat_TQ, rtol=1e-9)


def test_line_is_praats_trend_line_through_the_same_cepstrum() -> None:
    praat = reference.power_cepstrogram(NOISE_N, CONFIG)
    log_cepstra_TQ = np.log(praats_values(praat))
    for frame in (0, 30, 31, 77):
        single = call(praat, "To PowerCepstrum (slice)", call(praat, "Get time from frame number", frame + 1))
        line = call(single, "Get trend line slope", 0.001, 0.05, "Straight", "Robust")
        slope, _ = robust_line.robust_line(log_cepstra_TQ[frame, 10:501].copy(), np.empty(245), np.empty(491))
        assert cepstrum.DB * slope * cepstrogram.RATE == pytest.approx(line, abs=1e-8)


def test_what_stands_above_the_line_is_praats_cepstrogram_without_its_trend() -> None:
    praat = reference.power_cepstrogram(NOISE_N, CONFIG)
    praat_TQ = praats_values(call(praat, "Subtract trend", 0.001, 0.05, "Straight", "Robust"))
    values_TQ = praats_values(praat).copy()
    lines_T2, _ = cepstrum.lines_and_prominences(np.log(values_TQ), 30.003, 166.7, 10, 500)
    np.testing.assert_allclose(cepstrum.above_the_line(values_TQ, lines_T2), praat_TQ, rtol=1e-9)


# Robust line


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 61, 245, 490, 491])
@pytest.mark.parametrize("kind", ["spread", "skewed", "tied", "equal", "outlier", "far away", "two values"])
def test_median_is_exact(count: int, kind: str) -> None:
    random = np.random.default_rng(count)
    values_N = random.standard_normal(count)
    if kind == "skewed":
        values_N = np.log(values_N**2)
    elif kind == "tied":
        values_N = np.maximum(np.round(values_N), 0)
    elif kind == "equal":
        values_N[:] = -690.7755278982137
    elif kind == "outlier":
        values_N[0] = 1e12
    elif kind == "far away":
        values_N += 1e9
    elif kind == "two values":
        values_N = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    assert robust_line.median(values_N) == np.median(values_N)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_median_of_what_is_not_finite_is_undefined(value: float) -> None:
    assert np.isnan(robust_line.median(np.array([1.0, value, 2.0])))


@pytest.mark.parametrize("count", [2, 5, 60, 491])
def test_line_is_the_median_of_slopes_by_brute_force(count: int) -> None:
    ordinates_N = np.random.default_rng(count).standard_normal(count).cumsum()
    half = (count + 1) // 2
    expected = np.median((ordinates_N[half:] - ordinates_N[: count - half]) / half)
    slope, intercept = robust_line.robust_line(ordinates_N, np.empty(count // 2), np.empty(count))
    assert slope == pytest.approx(expected, abs=1e-12)
    assert intercept == pytest.approx(np.median(ordinates_N - expected * np.arange(count)), abs=1e-10)


def test_line_ignores_outliers() -> None:
    ordinates_N = 3.0 - 0.02 * np.arange(200)
    ordinates_N[20:60] += 50.0
    slope, intercept = robust_line.robust_line(ordinates_N, np.empty(100), np.empty(200))
    assert slope == pytest.approx(-0.02, abs=1e-12)
    assert intercept == pytest.approx(3.0, abs=1e-12)


# Averages and peaks


@pytest.mark.parametrize("n_positions", [1, 2, 3, 20])
@pytest.mark.parametrize("width", [0.0, 1.99, 2.0, 2.5, 5.0, 7.3, 100.0])
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_averages_keep_a_constant_and_look_nowhere_outside(n_positions: int, width: float, margin: float) -> None:
    weights_NK = averaging_weights(n_positions, width, margin)
    np.testing.assert_allclose(weights_NK.sum(axis=1), 1.0, atol=1e-12)
    sample_NK = np.arange(n_positions)[:, None] + np.arange(weights_NK.shape[1]) - weights_NK.shape[1] // 2
    assert np.all(weights_NK[(sample_NK < 0) | (sample_NK >= n_positions)] == 0)


def test_average_is_the_integral_under_lines_between_the_samples() -> None:
    values_N = np.random.default_rng(0).standard_normal(12)
    weights_NK = averaging_weights(12, 3.7, 0.5)
    reach = weights_NK.shape[1] // 2
    padded_N = np.pad(values_N, reach)
    for position in range(12):
        at = np.linspace(max(position - 1.85, -0.5), min(position + 1.85, 11.5), 20001)
        expected = np.trapezoid(np.interp(at, np.arange(12), values_N), at) / (at[-1] - at[0])
        assert weights_NK[position] @ padded_N[position : position + 2 * reach + 1] == pytest.approx(expected, abs=1e-6)


def test_peak_of_a_parabola_is_its_vertex() -> None:
    places_Q = np.arange(40.0)
    place, height = cepstrum.highest_peak(5 - 0.3 * (places_Q - 17.3) ** 2, 5.2, 30.9)
    assert (place, height) == (pytest.approx(17.3), pytest.approx(5.0))


def test_slope_to_an_end_of_the_range_has_its_peak_there() -> None:
    assert cepstrum.highest_peak(-np.arange(40.0), 5.2, 30.9) == (6.0, -6.0)
    assert cepstrum.highest_peak(np.arange(40.0), 5.2, 30.9) == (30.0, 30.0)


# Known signals


@pytest.mark.parametrize("f0", [70.0, 90.0, 125.0, 180.0, 240.0, 310.0])
def test_harmonics_have_their_peak_at_their_period(f0: float) -> None:
    log_cepstra_TQ = np.log(our_cepstra(synthesis.harmonics_plus_noise(f0, 30.0, 1.0)))[INSIDE]
    place_T = np.array([cepstrum.highest_peak(cepstrum_Q, 30.003, 166.7)[0] for cepstrum_Q in log_cepstra_TQ])
    assert np.median(place_T) == pytest.approx(cepstrogram.RATE / f0, abs=0.3)


def test_prominence_grows_with_the_harmonics_to_noise_ratio_and_is_lowest_in_noise() -> None:
    frames, whole = [], []
    for hnr_db in (-30.0, -10.0, 0.0, 10.0, 20.0):
        prominence_T, cpps = ours(synthesis.harmonics_plus_noise(120, hnr_db, 1.0))
        frames.append(np.median(prominence_T[INSIDE]))
        whole.append(cpps)
    assert np.all(np.diff(frames[1:]) > 1)
    assert np.all(np.diff(whole[1:]) > 1)
    assert frames[0] < 15 < frames[-1] - 8
    assert whole[0] < 5 < whole[-1] - 8


def test_prominence_does_not_depend_on_the_level() -> None:
    prominence_T, cpps = ours(NOISE_N)
    quiet_T, quiet_cpps = ours(1e-3 * NOISE_N)
    np.testing.assert_allclose(quiet_T, prominence_T, atol=1e-6)
    assert quiet_cpps == pytest.approx(cpps, abs=1e-6)


# Form


def test_values_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(CONFIG, cpps_time_average_seconds=0.07)
    expected_T, expected = cepstrum.cepstral_peaks(NOISE_N, config, 7, 80)
    for length in (1, 5, 32, 1000):
        monkeypatch.setattr(cepstrum, "FRAMES_IN_BLOCK", length)
        prominence_T, cpps = cepstrum.cepstral_peaks(NOISE_N, config, 7, 80)
        np.testing.assert_array_equal(prominence_T, expected_T)
        assert cpps == expected


def test_prominence_is_undefined_in_digital_silence_and_under_a_constant_offset() -> None:
    speech_N = np.concatenate([np.zeros(8000), synthesis.vowel(120, (500, 1500, 2500), 0.5), np.full(8000, 0.2)])
    prominence_T, cpps = ours(speech_N)
    np.testing.assert_array_equal(np.isnan(prominence_T), without_sound(speech_N, 0.1))
    assert np.isnan(prominence_T[:44]).all()
    assert np.isfinite(prominence_T[50:100]).all()
    assert np.isfinite(cpps)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"cpp_trend_from_seconds": 0.02, "cpp_trend_to_seconds": 0.02005}, "cpp_trend_to_seconds"),
        ({"cpp_floor_hz": 333.0}, "cpp_ceiling_hz"),
    ],
)
def test_settings_that_leave_nothing_to_measure_are_refused_by_name(changes: dict[str, float], key: str) -> None:
    config = dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=key):
        ours(NOISE_N, config)
