"""Rhythm and timing against intervals computed by hand."""

import numpy as np
import pytest

from accent.features.phones import PHONES
from accent.features.utterance.rhythm import (
    DURATION_COLUMNS,
    RHYTHM_COLUMNS,
    Interval,
    merge_into_intervals,
    phone_durations,
    rhythm,
    stretches_without_pause,
)

# Consonantal intervals 0.1, 0.2, 0.1 | 0.4 s and vocalic ones 0.2, 0.3 | 0.4 s; the bar is a pause.
UTTERANCE: list[Interval] = [
    (0.0, 0.1, "sil"),
    (0.1, 0.2, "B"),
    (0.2, 0.4, "AA"),
    (0.4, 0.5, "S"),
    (0.5, 0.6, "T"),
    (0.6, 0.7, "IY"),
    (0.7, 0.9, "AE"),
    (0.9, 1.0, "N"),
    (1.0, 1.3, "sil"),
    (1.3, 1.7, "AA"),
    (1.7, 2.1, "M"),
    (2.1, 2.3, "sil"),
]


def with_durations(labels: str, seconds: list[float]) -> list[Interval]:
    edges = np.concatenate([[0.0], np.cumsum(seconds)]).tolist()
    return list(zip(edges[:-1], edges[1:], labels.split(), strict=True))


def test_neighbouring_phones_of_a_kind_form_one_interval_and_pauses_end_it() -> None:
    merged = [merge_into_intervals(stretch) for stretch in stretches_without_pause(UTTERANCE)]
    assert [[is_vowel for is_vowel, _ in stretch] for stretch in merged] == [
        [False, True, False, True, False],
        [True, False],
    ]
    seconds = [duration for stretch in merged for _, duration in stretch]
    assert seconds == pytest.approx([0.1, 0.2, 0.2, 0.3, 0.1, 0.4, 0.4])


def test_rhythm_of_a_known_utterance() -> None:
    measured = rhythm(UTTERANCE)
    assert tuple(measured) == RHYTHM_COLUMNS
    assert measured["phones_per_second"] == pytest.approx(9 / 1.7)
    assert measured["percent_v"] == pytest.approx(100 * 0.9 / 1.7)
    # Deviations from 0.2: -0.1, 0, -0.1, 0.2; squares 0.06 over n - 1 = 3.
    assert measured["delta_c_ms"] == pytest.approx(1000 * np.sqrt(0.06 / 3))
    # Deviations from 0.3: -0.1, 0, 0.1; squares 0.02 over n - 1 = 2; over the mean 0.3.
    assert measured["varco_v_percent"] == pytest.approx(100 * 0.1 / 0.3)
    # One pair before the pause, none after, none over it: |0.2 - 0.3| over their mean 0.25.
    assert measured["npvi_v"] == pytest.approx(40.0)
    # |0.1 - 0.2| and |0.2 - 0.1|; a pair over the pause would add 0.3.
    assert measured["rpvi_c_ms"] == pytest.approx(100.0)


def test_even_rhythm_has_no_variation() -> None:
    measured = rhythm(with_durations("B AA D AA G AA", [0.1, 0.2] * 3))
    for column in ("delta_c_ms", "varco_v_percent", "npvi_v", "rpvi_c_ms"):
        assert measured[column] == pytest.approx(0.0, abs=1e-9)
    assert measured["percent_v"] == pytest.approx(200 / 3)


def test_rate_scales_raw_measures_and_leaves_normalised_ones() -> None:
    slow = rhythm([(2 * start, 2 * end, label) for start, end, label in UTTERANCE])
    normal = rhythm(UTTERANCE)
    for column, factor in zip(RHYTHM_COLUMNS, (0.5, 1, 2, 1, 1, 2), strict=True):
        assert slow[column] == pytest.approx(factor * normal[column])


@pytest.mark.parametrize("label", ["sil", "spn"])
def test_unspoken_stretches_change_nothing_but_their_place(label: str) -> None:
    longer = [(0.0, 0.1, label), *((start + 5, end + 5, phone) for start, end, phone in UTTERANCE)]
    assert rhythm(longer) == pytest.approx(rhythm(UTTERANCE))


def test_a_gap_in_the_alignment_counts_as_a_pause() -> None:
    without_pauses = [interval for interval in UTTERANCE if interval[2] != "sil"]
    assert rhythm(without_pauses) == pytest.approx(rhythm(UTTERANCE))


def test_rounding_between_phones_is_no_pause() -> None:
    phones = with_durations("B AA D AA", [0.1, 0.2, 0.1, 0.3])
    jittered = [(start + 1e-4, end, label) for start, end, label in phones]
    assert rhythm(jittered)["npvi_v"] == pytest.approx(rhythm(phones)["npvi_v"], rel=1e-2)


@pytest.mark.parametrize(
    ("intervals", "undefined"),
    [
        ([], set(RHYTHM_COLUMNS)),
        ([(0.0, 1.0, "sil")], set(RHYTHM_COLUMNS)),
        ([(0.0, 0.1, "AA")], {"delta_c_ms", "varco_v_percent", "npvi_v", "rpvi_c_ms"}),
        (with_durations("B AA D", [0.1, 0.1, 0.1]), {"varco_v_percent", "npvi_v"}),
    ],
)
def test_too_few_intervals_leave_measures_undefined(intervals: list[Interval], undefined: set[str]) -> None:
    measured = rhythm(intervals)
    assert {column for column, value in measured.items() if np.isnan(value)} == undefined


def test_every_phone_has_its_mean_duration_and_pauses_have_none() -> None:
    measured = phone_durations(UTTERANCE)
    assert tuple(measured) == DURATION_COLUMNS
    assert len(measured) == len(PHONES) - 2
    defined = {column: value for column, value in measured.items() if np.isfinite(value)}
    assert defined == pytest.approx(
        {
            "mean_duration_aa_seconds": 0.3,
            "mean_duration_ae_seconds": 0.2,
            "mean_duration_b_seconds": 0.1,
            "mean_duration_iy_seconds": 0.1,
            "mean_duration_m_seconds": 0.4,
            "mean_duration_n_seconds": 0.1,
            "mean_duration_s_seconds": 0.1,
            "mean_duration_t_seconds": 0.1,
        }
    )
