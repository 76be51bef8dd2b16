"""Features of a stream beside those of the same sound as a recording."""

import dataclasses

import numpy as np
import pytest

from accent.audio.prepare import load_speech, prepare_speech
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.features.schema import COLUMNS, column_index, family_slices
from accent.features.stream import ADDED_BY_ONE_DECIBEL, MEMORY, FeatureStream
from accent.grid import HOP, SAMPLE_RATE
from tests.support.sound.synthesis import noise

CONFIG = FeatureConfig()
HALF_SECOND = SAMPLE_RATE // 2


def fed(samples_N, piece=HALF_SECOND):
    stream = FeatureStream(CONFIG)
    for at in range(0, len(samples_N), piece):
        stream.feed(samples_N[at : at + piece])
    return stream


@pytest.fixture(scope="module")
def pairs(saa):
    """Frames of eight recordings: (of the recording, of a stream), and the number of the first frame of each."""
    found = []
    for path in sorted(saa.glob("*/wav/*"))[::15]:
        samples_N = load_speech(path, CONFIG.audio).unfiltered_N
        speech = prepare_speech(samples_N, SAMPLE_RATE, CONFIG.audio)
        heard = fed(samples_N).unfinished(0)
        assert heard.reason is None and heard.first_frame == speech.first_frame
        found.append((extract(speech, CONFIG).frames_TD, heard.frames_TD))
    assert all(one.shape == other.shape for one, other in found)
    return found


@pytest.fixture(scope="module")
def both(pairs):
    return tuple(np.concatenate(frames).astype(np.float64) for frames in zip(*pairs, strict=True))


LOCAL = ("voicing_strength", "intensity_db")


@pytest.mark.parametrize("columns", [*(family_slices()[name] for name in ("mel", "mfcc", "chroma", "spectral")), LOCAL])
def test_local_measures_are_those_of_the_recording(both, columns):
    where = columns if isinstance(columns, slice) else [column_index(name) for name in columns]
    np.testing.assert_array_equal(both[1][:, where], both[0][:, where])


def test_pitch_is_that_of_the_recording_but_for_few_frames(both):
    whole_T, streamed_T = (frames_TD[:, column_index("f0_hz")] for frames_TD in both)
    same_T = (whole_T == streamed_T) | (np.isnan(whole_T) & np.isnan(streamed_T))
    assert same_T.mean() > 0.99
    for name in ("h1_h2_db", "tilt_db_octave"):
        one_T, other_T = (frames_TD[same_T, column_index(name)] for frames_TD in both)
        np.testing.assert_array_equal(other_T, one_T)


@pytest.mark.parametrize(
    ("names", "spreads", "most"),
    [
        # Ringing of the resampler: roots of a polynomial move a little, here and there by some hertz.
        (("f1_hz", "f2_hz", "f3_hz", "f4_hz", "b1_hz", "b2_hz", "b3_hz", "b4_hz"), 0.01, 0.05),
        (("h1_h2_corrected_db",), 1e-4, 1e-3),
        # Pulses are found from the middle of a voiced stretch.
        (("jitter_local", "shimmer_local"), 0.8, 6.0),
        (("cpp_db",), 0.1, 1.0),
        (("hnr_db",), 0.0, 0.0),
    ],
)
def test_the_others_differ_by_a_stated_part_of_their_spread(both, names, spreads, most):
    for name in names:
        whole_T, streamed_T = (frames_TD[:, column_index(name)] for frames_TD in both)
        difference_T = np.abs(streamed_T - whole_T)[np.isfinite(whole_T) & np.isfinite(streamed_T)]
        assert np.quantile(difference_T, 0.99) <= spreads * np.nanstd(whole_T), name
        assert difference_T.max() <= most * np.nanstd(whole_T), name


def test_the_same_frames_are_defined_but_for_a_loudest_place_to_come(both):
    differs_D = (np.isfinite(both[0]) != np.isfinite(both[1])).mean(0)
    # The harmonics-to-noise ratio is undefined where the sound is quiet, beside the loudest place of the whole.
    assert differs_D[column_index("hnr_db")] < 0.05
    differs_D[column_index("hnr_db")] = 0
    assert differs_D.max() < 0.01, COLUMNS[int(differs_D.argmax())]


def test_what_is_final_stays(saa):
    samples_N = load_speech(sorted(saa.glob("*/wav/*"))[7], CONFIG.audio).unfiltered_N
    stream = FeatureStream(CONFIG)
    kept = family_slices()["prosody"].start
    before_TD = np.empty((0, len(COLUMNS)))
    for at in range(0, len(samples_N), HALF_SECOND):
        stream.feed(samples_N[at : at + HALF_SECOND])
        heard = stream.unfinished(0)
        final_TD = heard.frames_TD[: max(stream.final - heard.first_frame, 0), kept:]
        if heard.first_frame == 0:
            np.testing.assert_array_equal(final_TD[: len(before_TD)], before_TD[:, kept:])
            before_TD = heard.frames_TD[: max(stream.final, 0)]


def test_forgetting_changes_nothing_that_is_asked_for_later_and_bounds_the_memory(saa):
    samples_N = load_speech(sorted(saa.glob("*/wav/*"))[3], CONFIG.audio).unfiltered_N
    samples_N = np.tile(samples_N, 3)
    whole, forgetful = fed(samples_N), FeatureStream(CONFIG)
    longest = 0
    for at in range(0, len(samples_N), HALF_SECOND):
        forgetful.feed(samples_N[at : at + HALF_SECOND])
        forgetful.forget(forgetful.total_frames - 200)
        longest = max(longest, len(forgetful._samples_N))
    assert longest <= 300 * HOP
    first = whole.total_frames - 150
    one, other = whole.unfinished(first), forgetful.unfinished(first)
    prosody = slice(family_slices()["prosody"].start, None)
    assert one.first_frame == other.first_frame
    np.testing.assert_array_equal(other.frames_TD[:, prosody], one.frames_TD[:, prosody])
    # Spectra read filtered sound, which rings after the cut.
    np.testing.assert_allclose(other.frames_TD, one.frames_TD, atol=1e-4)


def test_silence_has_no_frames_and_a_reason():
    assert fed(np.zeros(SAMPLE_RATE)).unfinished(0).reason == "silent so far"
    speechlike_N = 0.1 * noise(1)
    stream = fed(np.concatenate([speechlike_N, np.zeros(2 * SAMPLE_RATE)]))
    assert len(stream.unfinished(0).frames_TD) and stream.unfinished(150).reason == "too little that is not silent"


def test_the_loudest_place_is_forgotten_after_a_minute():
    stream = FeatureStream(CONFIG)
    stream.feed(0.5 * noise(1)[:HALF_SECOND])
    stream.unfinished(0)
    assert stream._peak.value(stream.total_frames) > 0
    assert stream._peak.value(stream.total_frames + MEMORY + 1) == -np.inf


def test_a_louder_sound_adds_what_is_said_to_each_column(saa):
    samples_N = load_speech(sorted(saa.glob("*/wav/*"))[0], CONFIG.audio).unfiltered_N
    config = dataclasses.replace(CONFIG, audio=dataclasses.replace(CONFIG.audio, loudness_lufs=None))
    quiet, loud = (
        extract(prepare_speech(gain * samples_N, SAMPLE_RATE, config.audio), config).frames_TD
        for gain in (1.0, 10 ** (3 / 20))
    )
    spectral = slice(0, family_slices()["prosody"].start)
    expected_TD = quiet + 3 * ADDED_BY_ONE_DECIBEL
    np.testing.assert_allclose(loud[:, spectral], expected_TD[:, spectral], atol=2e-2)
