"""Levels of frames against their definition, and gated loudness against pyloudnorm."""

import math
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest

from accent.audio.prepare import AudioConfig, load_speech
from accent.dsp.loudness import block_powers, frame_levels, integrated_loudness, k_weighting
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound.synthesis import noise, vowel


def levels_by_definition(samples_N: np.ndarray) -> np.ndarray:
    padded_N = np.pad(samples_N, 200, mode="edge")
    windows = [padded_N[start : start + 400] for start in range(0, len(samples_N) + 1, HOP)]
    return np.array([20 * np.log10(max(window_W.std(), 1e-10)) for window_W in windows])


def pyloudnorms(samples_N: np.ndarray, block_seconds: float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(pyloudnorm.Meter(SAMPLE_RATE, block_size=block_seconds).integrated_loudness(samples_N))


@pytest.mark.parametrize("n_samples", [1, 10, 159, 160, 399, 400, 1600, 1601, 16_000])
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_levels_are_those_of_the_definition(n_samples: int, offset: float) -> None:
    samples_N = 0.1 * noise(1.0)[:n_samples] + offset
    expected_T = levels_by_definition(samples_N)
    assert len(expected_T) == n_samples // HOP + 1
    np.testing.assert_allclose(frame_levels(samples_N), expected_T, rtol=1e-10)


def test_silence_has_the_lowest_level_and_an_offset_is_silence() -> None:
    np.testing.assert_allclose(frame_levels(np.zeros(1600)), -200)
    assert (frame_levels(np.full(1600, 0.3)) < -190).all()


def test_the_weighting_filter_is_pyloudnorms() -> None:
    for biquad, theirs in zip(k_weighting(SAMPLE_RATE), pyloudnorm.Meter(SAMPLE_RATE)._filters.values(), strict=True):
        np.testing.assert_allclose(biquad, [*theirs.b, *theirs.a[1:]], rtol=1e-12)


@pytest.mark.parametrize("seconds", [0.0999, 0.15, 0.4001, 0.5, 1.2345, 3.0])
@pytest.mark.parametrize("gain", [0.003, 1.0])
def test_loudness_is_pyloudnorms_however_short_or_soft(seconds: float, gain: float) -> None:
    samples_N = gain * vowel(120.0, (700.0, 1200.0, 2600.0), 3.0)[: round(seconds * SAMPLE_RATE)]
    block_seconds = min(0.4, (len(samples_N) - 1) / SAMPLE_RATE)
    expected = pyloudnorms(samples_N, block_seconds)
    assert math.isfinite(expected)
    assert integrated_loudness(samples_N.copy(), SAMPLE_RATE, block_seconds) == pytest.approx(expected, abs=1e-9)


def test_loudness_of_real_speech_is_pyloudnorms(saa: Path) -> None:
    differences = []
    for path in sorted(saa.glob("*/wav/*.wav"))[::5]:
        samples_N = load_speech(path, AudioConfig(highpass_hz=None)).unfiltered_N
        found = integrated_loudness(samples_N.copy(), SAMPLE_RATE, 0.4)
        differences.append(abs(found - pyloudnorms(samples_N, 0.4)))
    print(f"\ngated loudness of {len(differences)} recordings: at most {max(differences):.1e} dB from pyloudnorm")
    assert max(differences) < 1e-9


def test_both_gates_close_on_the_blocks_they_should() -> None:
    loud_N = 0.1 * noise(2.0)
    alone = integrated_loudness(loud_N.copy(), SAMPLE_RATE, 0.4)
    for quieter_db in (-5.0, -40.0, -200.0):
        both_N = np.concatenate([loud_N, loud_N * 10 ** (quieter_db / 20)])
        found = integrated_loudness(both_N.copy(), SAMPLE_RATE, 0.4)
        assert found == pytest.approx(pyloudnorms(both_N, 0.4), abs=1e-9)
        # Gated out, the quiet half moves only the blocks that straddle the change.
        assert abs(found - alone) < 1 if quieter_db < -10 else found < alone - 1.5


@pytest.mark.parametrize("samples_N", [np.zeros(16_000), np.full(16_000, 1e-6)])
def test_sound_under_the_absolute_gate_has_no_loudness(samples_N: np.ndarray) -> None:
    assert pyloudnorms(samples_N, 0.4) == -math.inf
    assert integrated_loudness(samples_N, SAMPLE_RATE, 0.4) == -math.inf


def test_block_powers_are_sums_of_squares_as_far_as_the_sound_goes() -> None:
    samples_N = np.arange(10.0)
    start_B, end_B = np.array([0, 3, 8]), np.array([4, 7, 14])
    np.testing.assert_allclose(block_powers(samples_N, start_B, end_B), [14.0, 86.0, 145.0])
