"""Goodness of pronunciation: against the definition written out, on real alignments and made posteriors."""

import math

import numpy as np
import pytest

from accent.features.phones import PHONES, phone_ids_on_grid
from accent.features.textgrid import read_labels
from accent.inference.pronunciation import (
    FLOOR,
    Expected,
    PhonePrediction,
    decoded_phones,
    score_pronunciation,
)

FIRST_FRAME = 7
EVERY_PHONE = np.ones(len(PHONES), bool)


@pytest.fixture(scope="module")
def textgrid(saa):
    return saa / "ARA004" / "textgrid" / "arctic_a0001.TextGrid"


@pytest.fixture(scope="module")
def expected(textgrid):
    return Expected.read(textgrid)


@pytest.fixture(scope="module")
def frames(expected):
    return round(expected.phones[-1][1] * 100) - FIRST_FRAME


@pytest.fixture(scope="module")
def phone_of_frames(expected, frames):
    """The phone of each frame, as shards store it."""
    return phone_ids_on_grid(expected.phones, FIRST_FRAME, frames)


def heard(alone_TP: np.ndarray, known_P: np.ndarray = EVERY_PHONE) -> PhonePrediction:
    return PhonePrediction(alone_TP, alone_TP, known_P)


def test_goodness_is_the_mean_log_probability_below_that_of_the_best_phone(expected, frames):
    alone_TP = np.random.default_rng(0).dirichlet(np.full(len(PHONES), 0.1), frames).astype(np.float32)
    scores = score_pronunciation(heard(alone_TP), FIRST_FRAME, expected).phones
    spoken = [one for one in expected.phones if one[2] not in ("sil", "spn")]
    assert [(one.start, one.end, one.phone) for one in scores] == spoken and len(spoken) > 20
    for one in scores:
        means = []
        for phone in range(len(PHONES)):
            logs = [
                math.log(float(alone_TP[t, phone]) + FLOOR)
                for t in range(frames)
                if one.start <= round((t + FIRST_FRAME) / 100, 6) < one.end
            ]
            means.append(sum(logs) / len(logs))
        assert one.goodness == pytest.approx(means[PHONES.index(one.phone)] - max(means), abs=1e-6)
        assert one.heard == PHONES[means.index(max(means))]


def test_what_is_said_as_expected_is_as_good_as_can_be_and_one_other_phone_shows(expected, phone_of_frames):
    said = score_pronunciation(heard(np.eye(len(PHONES))[phone_of_frames]), FIRST_FRAME, expected)
    assert said.expected and said.goodness == 0 and all(word.goodness == 0 for word in said.words)
    assert all(one.heard == one.phone for one in said.phones)

    start, end, phone = [one for one in expected.phones if one[2] != "sil"][3]
    other = "TH" if phone != "TH" else "S"
    seconds_T = np.round((np.arange(len(phone_of_frames)) + FIRST_FRAME) / 100, 6)
    changed_T = np.where((seconds_T >= start) & (seconds_T < end), PHONES.index(other), phone_of_frames)
    wrong = score_pronunciation(heard(np.eye(len(PHONES))[changed_T]), FIRST_FRAME, expected)
    worst = [one for one in wrong.phones if one.goodness != 0]
    assert [(one.phone, one.heard, one.start) for one in worst] == [(phone, other, start)]
    assert worst[0].goodness == pytest.approx(math.log(FLOOR), abs=1e-3)
    assert wrong.goodness == pytest.approx(worst[0].goodness / len(wrong.phones))
    [word] = [word for word in wrong.words if word.goodness != 0]
    inside = [one for one in wrong.phones if word.start <= one.start and one.end <= word.end]
    assert worst[0] in inside and word.goodness == pytest.approx(worst[0].goodness / len(inside))


def test_words_are_those_of_the_textgrid(expected, textgrid):
    words = [label for _, _, label in read_labels(textgrid, ("words",)) if label]
    assert [label for _, _, label in expected.words] == words and "stella" in words


def test_a_phone_never_trained_on_or_cut_off_has_no_goodness_and_counts_in_no_mean(expected, phone_of_frames):
    known_P = EVERY_PHONE.copy()
    known_P[PHONES.index("IY")] = False
    end = expected.phones[len(expected.phones) // 2][1]
    kept = round(end * 100) - FIRST_FRAME
    found = score_pronunciation(heard(np.eye(len(PHONES))[phone_of_frames[:kept]], known_P), FIRST_FRAME, expected)
    untold = [one for one in found.phones if one.goodness is None]
    assert any(one.phone == "IY" and one.end <= end for one in untold) and any(one.start >= end for one in untold)
    assert all(one.heard is None for one in untold) and found.goodness == 0
    assert found.words[-1].goodness is None


def test_without_expected_phones_the_decoded_ones_are_scored(phone_of_frames):
    said = score_pronunciation(heard(np.eye(len(PHONES))[phone_of_frames]), FIRST_FRAME)
    assert not said.expected and said.words == () and said.goodness == 0
    assert [one.phone for one in said.phones] == [one.heard for one in said.phones]


def test_decoded_phones_cover_the_frames_that_they_were_decoded_from(phone_of_frames):
    intervals = decoded_phones(np.eye(len(PHONES))[phone_of_frames], FIRST_FRAME)
    np.testing.assert_array_equal(phone_ids_on_grid(intervals, FIRST_FRAME, len(phone_of_frames)), phone_of_frames)
