"""Distances from an accent's realisation of phones: against the definition in loops, and on made accents."""

import numpy as np
import pytest

from accent.inference.pronunciation import PhoneScore, Pronunciation, with_distances
from accent.inference.realisations import (
    LEAST_PHONES,
    PRIOR_PHONES,
    measure_realisations,
    spoken_phones,
    values_of_phone,
)
from accent.model.phonetic.inventory import Inventory

UNITS = ("*-sil", "IY-N", "*-IY", "*-N")


def accents(phones: int = 200):
    """Two accents that say unit 1 one deviation apart, and unit 2 alike; unit 3 is rare."""
    draw = np.random.default_rng(0)
    accent_N, unit_N = draw.integers(2, size=phones), draw.integers(1, 3, size=phones)
    unit_N[:3] = 3
    value_NV = draw.standard_normal((phones, 6))
    value_NV[unit_N == 1] += np.where(accent_N[unit_N == 1], 0.5, -0.5)[:, None]
    return accent_N, unit_N, value_NV


def test_means_are_drawn_towards_all_accents_and_the_distance_is_in_deviations_within_accents():
    accent_N, unit_N, value_NV = accents()
    found = measure_realisations(accent_N, unit_N, value_NV, 2, 4)
    mine = unit_N == 1
    everyone = value_NV[mine].mean(0)
    mean = {}
    for accent in (0, 1):
        own = value_NV[mine & (accent_N == accent)]
        mean[accent] = (own.sum(0) + PRIOR_PHONES * everyone) / (len(own) + PRIOR_PHONES)
        np.testing.assert_allclose(found.mean_AUV[accent, 1], mean[accent], rtol=1e-5)
    within = np.stack([value - mean[accent] for value, accent in zip(value_NV[mine], accent_N[mine], strict=True)])
    distance_N = found.distances(1, unit_N, value_NV)
    for row in np.flatnonzero(mine)[:5]:
        parts = [((value_NV[row, at] - mean[1][at]) / within[:, at].std()) ** 2 for at in range(6)]
        assert distance_N[row] == pytest.approx(np.sqrt(sum(parts) / 6), rel=1e-4)
    # A typical phone of the accent itself lies at about 1, one of the other accent farther away.
    own, other = (found.distances(1, unit_N, value_NV)[mine & (accent_N == accent)].mean() for accent in (1, 0))
    assert own == pytest.approx(1, abs=0.15) and other > 1.1 * own
    rare = unit_N == 3
    assert rare.sum() < LEAST_PHONES and np.isnan(distance_N[rare]).all()
    assert np.isnan(found.distances(0, np.array([-1]), value_NV[:1])).all()


def test_a_phone_is_the_mean_of_its_thirds_and_a_short_one_lends_its_frame():
    column_TC = np.arange(20.0).reshape(10, 2)
    values = values_of_phone(column_TC, 1, 8)
    expected = [column_TC[1:3], column_TC[3:5], column_TC[5:8]]
    np.testing.assert_allclose(values, np.concatenate([part.mean(0) for part in expected]))
    np.testing.assert_allclose(values_of_phone(column_TC, 4, 5), np.tile(column_TC[4], 3))


def test_the_unit_of_a_phone_follows_the_phone_before_it_unless_there_is_a_gap():
    inventory = Inventory(UNITS)
    times = [("IY", 0.1, 0.2), ("N", 0.2, 0.3), ("N", 0.5, 0.6), ("IY", 0.6, 0.6), ("B", 0.6, 0.7)]
    phones = tuple(PhoneScore(phone, start, end, 0.0, phone) for phone, start, end in times)
    unit_N, value_NV = spoken_phones(Pronunciation(phones, (), 0.0, True), np.ones((100, 2)), 0, inventory)
    assert unit_N.tolist() == [2, 1, 3, 2, -1]
    assert np.isnan(value_NV[3]).all() and (value_NV[[0, 1, 2, 4]] == 1).all()


def test_words_and_recording_have_the_mean_of_their_phones_with_a_distance():
    from accent.inference.pronunciation import WordScore

    phones = tuple(PhoneScore("IY", at, at + 1, -1.0, "IY") for at in range(4))
    words = (WordScore("one", 0, 2, -1.0), WordScore("two", 2, 3, -1.0), WordScore("three", 3, 4, -1.0))
    found = with_distances(Pronunciation(phones, words, -1.0, True), np.array([1.0, 2.0, np.nan, 4.0]))
    assert [one.distance for one in found.phones] == [1.0, 2.0, None, 4.0]
    assert [one.distance for one in found.words] == [1.5, None, 4.0] and found.distance == pytest.approx(7 / 3)
