"""Extraction as a whole: the schema's columns, the kept region, and what a change of the recording may change."""

import importlib
import inspect
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from accent.audio.prepare import AudioConfig, Speech, load_speech, prepare_speech
from accent.features.config import FeatureConfig
from accent.features.extract import BACKENDS, Features, extract, find_backend
from accent.features.phones import OUTSIDE
from accent.features.schema import COLUMNS, FAMILIES, N_COLUMNS, column_index, family_slices
from accent.features.textgrid import read_alignment
from accent.features.utterance import UTTERANCE_COLUMNS
from accent.grid import HOP
from tests.support.sound.synthesis import RATE, noise, vowel

SLICES = family_slices()
Intervals = list[tuple[float, float, str]]


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def config(request: pytest.FixtureRequest) -> FeatureConfig:
    return FeatureConfig(backend=request.param)


@pytest.fixture(scope="module")
def recording(saa: Path) -> tuple[Speech, Intervals]:
    speech = load_speech(saa / "SPA071" / "wav" / "arctic_a0001.wav", AudioConfig())
    return speech, read_alignment(saa / "SPA071" / "textgrid" / "arctic_a0001.TextGrid").intervals


@pytest.fixture(scope="module")
def features(recording: tuple[Speech, Intervals], config: FeatureConfig) -> Features:
    return extract(recording[0], config, recording[1], sex="male")


def column(features: Features, name: str) -> np.ndarray:
    return features.frames_TD[:, column_index(name)]


def test_there_is_a_float32_row_for_each_kept_frame(recording: tuple[Speech, Intervals], features: Features) -> None:
    assert features.frames_TD.shape == (recording[0].n_frames, N_COLUMNS)
    assert features.frames_TD.dtype == np.float32
    assert features.phones_T is not None and features.phones_T.shape == (recording[0].n_frames,)
    assert (features.phones_T != OUTSIDE).mean() > 0.99


def test_the_utterance_has_its_values_in_the_fixed_order(features: Features) -> None:
    assert tuple(features.utterance) == UTTERANCE_COLUMNS
    assert all(isinstance(value, float) for value in features.utterance.values())


def test_every_family_is_defined_somewhere_and_never_infinite(features: Features) -> None:
    for family in FAMILIES:
        frames = features.frames_TD[:, SLICES[family.name]]
        assert np.isfinite(frames).any(axis=0).all(), family.name
        assert not np.isinf(frames).any(), family.name


def test_columns_have_the_values_a_phonetician_expects(features: Features) -> None:
    voiced = np.isfinite(column(features, "f0_hz"))
    assert 0.3 < voiced.mean() < 0.9
    assert 75 <= np.nanmedian(column(features, "f0_hz")) <= 200  # a man
    medians = [np.nanmedian(column(features, f"f{number}_hz")[voiced]) for number in (1, 2, 3, 4)]
    for median, (low, high) in zip(medians, [(250, 800), (900, 2200), (2000, 3200), (2900, 4500)], strict=True):
        assert low < median < high
    assert 0 < np.nanmedian(column(features, "hnr_db")[voiced]) < 30
    assert 0 < np.nanmedian(column(features, "jitter_local")) < 0.1


def test_without_an_alignment_there_are_no_phones(
    recording: tuple[Speech, Intervals], features: Features, config: FeatureConfig
) -> None:
    bare = extract(recording[0], config)
    assert bare.phones_T is None
    assert tuple(bare.utterance) == UTTERANCE_COLUMNS
    np.testing.assert_array_equal(bare.frames_TD, features.frames_TD)


def test_extraction_is_repeatable_to_the_bit(
    recording: tuple[Speech, Intervals], features: Features, config: FeatureConfig
) -> None:
    again = extract(recording[0], config, recording[1], sex="male")
    assert again.frames_TD.tobytes() == features.frames_TD.tobytes()
    np.testing.assert_equal(again.utterance, features.utterance)


def test_trimming_chooses_frames_and_changes_no_value(config: FeatureConfig) -> None:
    samples = np.concatenate([0.001 * noise(0.5), vowel(130, (600, 1100, 2500, 3500), 0.8), 0.001 * noise(0.4, seed=1)])
    trimmed, whole = (
        prepare_speech(samples, RATE, AudioConfig(trim_db=trim_db, loudness_lufs=None)) for trim_db in (30.0, None)
    )
    assert trimmed.first_frame > 0 and trimmed.n_frames < whole.n_frames
    np.testing.assert_array_equal(extract(trimmed, config).frames_TD, extract(whole, config).frames_TD[trimmed.kept])


def test_halving_the_recording_shifts_intensity_and_changes_nothing_else(saa: Path, config: FeatureConfig) -> None:
    samples = load_speech(saa / "CMN007" / "wav" / "arctic_a0002.wav", config.audio).unfiltered_N
    loud, quiet = (extract(prepare_speech(gain * samples, RATE, config.audio), config) for gain in (1.0, 0.5))
    difference = quiet.frames_TD - loud.frames_TD
    intensity = column_index("intensity_db")
    sounding = np.isfinite(loud.frames_TD[:, intensity])
    assert sounding.mean() > 0.9  # the file begins with digital silence
    np.testing.assert_allclose(difference[sounding, intensity], -20 * np.log10(2), atol=1e-4)
    for family in FAMILIES:
        at = SLICES[family.name]
        kept = np.setdiff1d(np.arange(at.start, at.stop), [intensity])
        np.testing.assert_allclose(
            quiet.frames_TD[:, kept], loud.frames_TD[:, kept], rtol=1e-4, atol=1e-4, err_msg=family.name
        )


def test_the_sex_changes_the_formants_only_where_a_ceiling_for_men_is_set(
    recording: tuple[Speech, Intervals], features: Features, config: FeatureConfig
) -> None:
    by_sex = replace(config, formant_ceiling_male_hz=5000.0)
    man, woman = (extract(recording[0], by_sex, sex=sex).frames_TD for sex in ("male", "female"))
    np.testing.assert_array_equal(woman, features.frames_TD)
    changed = [
        family.name
        for family in FAMILIES
        if not np.array_equal(man[:, SLICES[family.name]], woman[:, SLICES[family.name]], equal_nan=True)
    ]
    assert changed == ["formants", "voice"]  # H1*-H2* is corrected by the formants


@pytest.mark.parametrize("n_samples", [1600, 1759, 1760, 3001])
def test_the_shortest_recordings_have_features(n_samples: int, config: FeatureConfig) -> None:
    speech = prepare_speech(vowel(130, (600, 1100, 2500, 3500), 0.5)[:n_samples], RATE, config.audio)
    assert extract(speech, config).frames_TD.shape == (speech.n_frames, N_COLUMNS)


@pytest.mark.parametrize("offset", [0.0, 0.002])
def test_noise_and_digital_silence_are_undefined_and_never_a_crash(offset: float, config: FeatureConfig) -> None:
    samples = np.concatenate([np.zeros(16_000), 0.1 * noise(0.5), np.zeros(16_000)]) + offset
    found = extract(prepare_speech(samples, RATE, AudioConfig(trim_db=None)), config)
    assert np.isnan(column(found, "f0_hz")).all()
    # Levels end at a floor and silence crosses zero no times; everything else has no value.
    silent_TD = np.isnan(np.concatenate([found.frames_TD[5:80], found.frames_TD[170:245]]))
    defined = {*COLUMNS[SLICES["mel"]], *COLUMNS[SLICES["mfcc"]], "zero_crossing_rate", "rms_db"}
    for number, name in enumerate(COLUMNS):
        assert not silent_TD[:, number].any() if name in defined else silent_TD[:, number].all(), name
    assert not np.isinf(found.frames_TD).any()


def test_a_click_stands_at_one_frame_in_every_column(config: FeatureConfig) -> None:
    samples = np.zeros(32_000)
    samples[80 * HOP] = 0.9
    audio = AudioConfig(trim_db=None, loudness_lufs=None, highpass_hz=None)
    frames_TD = extract(prepare_speech(samples, RATE, audio), config).frames_TD
    touched_TD = ~((frames_TD == frames_TD[0]) | (np.isnan(frames_TD) & np.isnan(frames_TD[0])))
    touched = np.flatnonzero(touched_TD.any(axis=0))
    assert {name for name in SLICES if touched_TD[:, SLICES[name]].any()} == set(SLICES)
    for number in touched:
        frames = np.flatnonzero(touched_TD[:, number])
        assert frames.mean() == 80, COLUMNS[number]


def test_every_backend_the_configuration_allows_is_registered() -> None:
    assert set(BACKENDS) == set(get_args(get_type_hints(FeatureConfig)["backend"]))


COMPILED = """
import gc
from numba.core.dispatcher import Dispatcher
from accent.features.config import FeatureConfig
from accent.features.extract import prepare_backend
prepare_backend(FeatureConfig(backend="numba"))
kernels = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
ours = [each.stats for each in kernels if each.py_func.__module__.startswith("accent.")]
print(sum(sum(each.cache_misses.values()) for each in ours), sum(sum(each.cache_hits.values()) for each in ours))
"""


def test_a_second_process_finds_every_kernel_on_disk() -> None:
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", COMPILED], check=True, capture_output=True, text=True)
    compiled, found = map(int, done.stdout.split())
    assert compiled == 0
    assert found > 30


def test_every_measure_of_a_recording_is_taken_once(config: FeatureConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = importlib.import_module(BACKENDS[config.backend])
    room = BACKENDS[config.backend].rpartition(".")[0]
    calls: Counter[str] = Counter()

    def counting(name: str, measure: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return measure(*arguments, **options)

        return counted

    measures = {
        name: value
        for name, value in vars(backend).items()
        if inspect.isfunction(value) and value.__module__.startswith(room) and value.__module__ != backend.__name__
    }
    for name, measure in measures.items():
        monkeypatch.setattr(backend, name, counting(name, measure))
    extract(prepare_speech(vowel(120, [500, 1500, 2500], 1.0), RATE, AudioConfig()), config)
    assert {"track_pitch", "harmonicity", "jitter_and_shimmer", "spectral_frames"} <= measures.keys()
    assert calls == dict.fromkeys(measures, 1)


def test_the_numba_backend_leaves_no_frame_to_python() -> None:
    config = FeatureConfig(backend="numba")

    def calls(seconds: int) -> int:
        # A breath of noise, for numpy finds the roots where the polynomials of exact resonances do not converge.
        sound_N = vowel(120, [500, 1500, 2500], seconds) + 0.003 * noise(seconds)
        speech = prepare_speech(sound_N, RATE, AudioConfig())
        find_backend("numba")(speech, config)
        count = 0

        def counted(_: FrameType, event: str, __: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            find_backend("numba")(speech, config)
        finally:
            sys.setprofile(None)
        return count

    of_4, of_8, of_16 = map(calls, (4, 8, 16))
    # Blocks of 32 and 64 frames make it two calls a frame; a loop over frames in Python would make it dozens.
    assert of_8 - of_4 < 4 * 400
    assert of_16 - of_8 < 2.2 * (of_8 - of_4)


def test_the_numba_backend_waits_for_none_of_the_slow_libraries() -> None:
    code = """
import sys
from accent.features.config import FeatureConfig
from accent.features.extract import prepare_backend
prepare_backend(FeatureConfig(backend="numba"))
sys.exit(", ".join({"torch", "librosa", "parselmouth", "sklearn", "pandas"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
