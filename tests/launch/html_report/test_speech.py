"""Vowels, contours and rhythm of recordings, beside other ways to the same numbers."""

import numpy as np
import pytest
from scipy.stats import sem, zscore

from accent.features.phones import PHONES
from accent.features.schema import N_COLUMNS, column_index
from accent.features.utterance.vowels import MONOPHTHONGS
from launch.html_report.sections.prosody import contours
from launch.html_report.sections.vowels import gather, lobanov
from launch.html_report.speech import Speech, contour, mean_and_error, vowels_of


def said(*phones: tuple[str, int, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Frames and phones of an utterance: label, frames, F1, F2."""
    frames_TD = np.full((sum(length for _, length, _, _ in phones), N_COLUMNS), np.nan)
    at, numbers = 0, []
    for label, length, f1, f2 in phones:
        frames_TD[at : at + length, column_index("f1_hz")] = f1
        frames_TD[at : at + length, column_index("f2_hz")] = f2
        numbers += [PHONES.index(label)] * length
        at += length
    return frames_TD, np.array(numbers)


def test_a_vowel_is_the_median_of_its_middle_half():
    frames_TD, phones_T = said(("S", 4, 900, 900), ("IY", 8, 300, 2200), ("AY", 8, 700, 1500), ("AA", 3, 700, 1100))
    # Neighbours colour the edges of a vowel; undefined frames count for nothing.
    frames_TD[[4, 5, 10, 11], column_index("f1_hz")] = 5000
    frames_TD[6, column_index("f2_hz")] = np.nan
    assert vowels_of(frames_TD, phones_T) == [("IY", 300.0, 2200.0), ("AA", 700.0, 1100.0)]


def random_speech(seed: int = 0) -> Speech:
    """Two accents of three speakers with four utterances; fifty vowels each."""
    generator = np.random.default_rng(seed)
    speakers = [f"{accent}{number}" for accent in "AB" for number in range(3)]
    f0_NP = generator.normal(size=(24, 20))
    f0_NP[generator.random(f0_NP.shape) < 0.2] = np.nan
    return Speech(
        speaker_N=np.repeat(speakers, 4),
        accent_of={speaker: speaker[0] for speaker in speakers},
        aligned=True,
        f0_NP=f0_NP,
        rhythm_NR=generator.normal(size=(24, 6)),
        vowel_W=generator.choice(MONOPHTHONGS[:5], 300),
        vowel_speaker_W=np.repeat(speakers, 50),
        formant_W2=generator.normal((500, 1500), (100, 300), (300, 2)),
    )


def test_vowel_space_is_the_mean_over_speakers_of_their_z_scores():
    speech = random_speech()
    for found in gather(speech):
        of_speakers = []
        for speaker in speech.speakers_of(found.accent):
            rows = speech.vowel_speaker_W == speaker
            z = zscore(speech.formant_W2[rows], axis=0)
            of_speakers.append([z[speech.vowel_W[rows] == vowel].mean(0) for vowel in MONOPHTHONGS[:5]])
        np.testing.assert_allclose(found.mean_K2[:5], np.mean(of_speakers, axis=0))
        np.testing.assert_allclose(found.error_K2[:5], sem(of_speakers, axis=0))
        assert np.isnan(found.mean_K2[5:]).all() and found.speakers_K.tolist() == [3] * 5 + [0] * 4


def test_a_speaker_of_two_vowels_has_no_vowel_space():
    speech = random_speech()
    speech.vowel_W[:50] = np.resize(["IY", "AA"], 50)
    assert np.isnan(lobanov(speech, "A0")).all() and np.isfinite(lobanov(speech, "A1")).any()


def test_vocal_tracts_of_any_length_and_place_give_the_same_vowel_space():
    speech = random_speech()
    before = lobanov(speech, "B1")
    rows = speech.vowel_speaker_W == "B1"
    speech.formant_W2[rows] = speech.formant_W2[rows] * [1.2, 1.3] + [30, -100]
    np.testing.assert_allclose(lobanov(speech, "B1"), before)


def test_a_contour_is_the_mean_of_equal_parts_in_semitones():
    f0_T = np.random.default_rng(0).uniform(100, 200, 200)
    f0_T[30:40] = np.nan
    expected = [
        np.nanmean(12 * np.log2(part / 150)) if np.isfinite(part).any() else np.nan for part in np.split(f0_T, 20)
    ]
    np.testing.assert_allclose(contour(f0_T, 150.0), expected)
    assert np.isnan(contour(np.full(7, np.nan), 1.0)).all()


def test_contours_weigh_speakers_alike_however_many_utterances_they_have():
    speech = random_speech()
    mean_P, error_P = contours(speech)["B"]
    of_speakers = [np.nanmean(speech.f0_NP[speech.speaker_N == name], axis=0) for name in ("B0", "B1", "B2")]
    np.testing.assert_allclose(mean_P, np.nanmean(of_speakers, axis=0))
    np.testing.assert_allclose(error_P, sem(of_speakers, axis=0, nan_policy="omit"))


def test_one_value_has_a_mean_and_no_error_and_none_has_neither():
    mean_K, error_K, count_K = mean_and_error(np.array([[1.0, np.nan], [np.nan, np.nan]]))
    assert mean_K[0] == 1.0 and np.isnan([mean_K[1], *error_K]).all() and count_K.tolist() == [1, 0]


@pytest.mark.parametrize("count", [2, 5])
def test_mean_and_error_are_those_of_scipy(count):
    values = np.random.default_rng(count).normal(size=(count, 4))
    mean_K, error_K, _ = mean_and_error(values)
    np.testing.assert_allclose(mean_K, values.mean(0))
    np.testing.assert_allclose(error_K, sem(values, axis=0))
