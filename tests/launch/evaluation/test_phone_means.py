"""Phone means: segments, thirds, sums and shrinkage against loops over frames."""

from itertools import groupby

import numpy as np
import pytest

from launch.evaluation.baselines.phone_means import (
    PhoneVectors,
    cut_into_segments,
    frame_columns,
)
from launch.evaluation.utterances import Utterances
from tests.support.shard_sets.synthetic import make_shard_set


@pytest.fixture(scope="module")
def utterances(tmp_path_factory) -> Utterances:
    """Two accents of three speakers; phones that last a few frames."""
    names = {accent: [f"{accent}{number}" for number in range(3)] for accent in ("X", "Y")}
    return Utterances.of(make_shard_set(tmp_path_factory.mktemp("shards"), names, 3, lengths=(60, 90)))


def phones_of(number: int) -> np.ndarray:
    """Phones 0 to 4, each 1 to 9 frames long, one frame outside of all."""
    generator = np.random.default_rng(number)
    phone_T = np.repeat(generator.integers(0, 5, 90), generator.integers(1, 10, 90))
    phone_T[7] = -1
    return phone_T


def frame_phones(utterances: Utterances):
    return lambda number: phones_of(number)[: utterances.shard_set.index["frames"][number]]


def segments_by_loop(phone_T: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(left, phone, start, end) of every phone that is no silence."""
    found, start, left = [], 0, 0
    for phone, run in groupby(np.maximum(phone_T, 0)):
        length = len(list(run))
        if phone > 0:
            found.append((left, int(phone), start, start + length))
        start, left = start + length, int(phone)
    return found


def thirds_by_loop(columns_TD: np.ndarray, start: int, end: int) -> list[np.ndarray]:
    means, length = [], end - start
    for third in range(3):
        frames = columns_TD[start + length * third // 3 : start + length * (third + 1) // 3]
        if not len(frames):
            frames = columns_TD[min(start + length * (2 * third + 1) // 6, end - 1)][None]
        means.append(frames.mean(0))
    return means


def test_slopes_are_those_of_a_fitted_line(utterances):
    columns_TD = frame_columns(utterances, 0)
    mfcc_TD = utterances.family(0, "mfcc")
    expected = np.polyfit(np.arange(-3, 4), mfcc_TD[10:17], 1)[0]
    np.testing.assert_allclose(columns_TD[13, 20:40], expected, atol=1e-9)
    np.testing.assert_allclose(columns_TD[:, :20], mfcc_TD)
    assert np.isfinite(columns_TD).all() and columns_TD.shape[1] == 43


def test_undefined_formants_lie_between_their_neighbours(utterances):
    formants = utterances.family(0, "formants")[:, 0]
    defined = np.flatnonzero(np.isfinite(formants) & (formants > 0))
    gap = next(at for at in range(len(defined) - 1) if defined[at + 1] - defined[at] > 1)
    before, after = defined[gap], defined[gap + 1]
    inside = np.exp(frame_columns(utterances, 0)[before + 1 : after, 40])
    low, high = sorted([formants[before], formants[after]])
    assert ((low - 1e-9 <= inside) & (inside <= high + 1e-9)).all()


def test_segments_and_thirds_are_those_of_a_loop(utterances):
    segments = cut_into_segments(utterances, range(len(utterances)), frame_phones(utterances))
    row = 0
    for number in range(len(utterances)):
        columns_TD = frame_columns(utterances, number)
        for left, phone, start, end in segments_by_loop(frame_phones(utterances)(number)):
            assert segments.utterance_P[row] == number
            assert divmod(int(segments.unit_P[row]), 1 << 10) == (left, phone)
            assert segments.frames_P[row] == end - start
            np.testing.assert_allclose(
                segments.mean_P3D[row], thirds_by_loop(columns_TD, start, end), rtol=1e-5, atol=1e-4
            )
            row += 1
    assert row == len(segments.unit_P)


def vectors_by_loop(utterances, unit_U, mean_U3D, duration_U, group):
    """The definition, written out for one group."""
    frames, said = [], []
    for number in group:
        columns_TD, phone_T = frame_columns(utterances, int(number)), frame_phones(utterances)(number)
        frames.append(columns_TD[phone_T > 0])
        for left, phone, start, end in segments_by_loop(phone_T):
            said.append((left * 1024 + phone, end - start, thirds_by_loop(columns_TD, start, end)))
    mean_D, deviation_D = np.concatenate(frames).mean(0), np.maximum(np.concatenate(frames).std(0), 0.01)
    pace = np.mean([np.log(length) for _, length, _ in said])
    deviations, durations = [], []
    for unit, unit_mean, unit_duration in zip(unit_U, mean_U3D, duration_U, strict=True):
        mine = [(length, thirds) for code, length, thirds in said if code == unit]
        weight = sum(length for length, _ in mine) / 3
        total = sum(
            (length / 3 * (np.array(thirds) - mean_D) / deviation_D for length, thirds in mine), np.zeros((3, 43))
        )
        deviations.append((total - weight * unit_mean) / (weight + 1))
        lengths = [np.log(length) - pace for length, _ in mine]
        durations.append((sum(lengths) - len(mine) * unit_duration) / (len(mine) + 1))
    return np.array(deviations).ravel(), np.array(durations)


def test_vectors_are_those_of_the_definition_for_any_group(utterances):
    segments = cut_into_segments(utterances, range(len(utterances)), frame_phones(utterances))
    wholes = utterances.wholes(np.arange(len(utterances)))
    learnt = PhoneVectors.learn(segments, wholes[:4])
    groups = [wholes[4], wholes[5][:1], wholes[0][:2]]
    deviation_GF, duration_GU = learnt.of(groups)
    for row, group in enumerate(groups):
        expected = vectors_by_loop(utterances, learnt.unit_U, learnt.mean_U3D, learnt.duration_U, group)
        np.testing.assert_allclose(deviation_GF[row], expected[0], atol=2e-3)
        np.testing.assert_allclose(duration_GU[row], expected[1], atol=1e-4)


def test_units_come_from_two_training_speakers_at_least_and_their_mean_from_these_alone(utterances):
    segments = cut_into_segments(utterances, range(len(utterances)), frame_phones(utterances))
    wholes = utterances.wholes(np.arange(len(utterances)))[:3]
    learnt = PhoneVectors.learn(segments, wholes)
    said = [
        {left * 1024 + phone for n in rows for left, phone, _, _ in segments_by_loop(frame_phones(utterances)(n))}
        for rows in wholes
    ]
    expected = sorted(unit for unit in set.union(*said) if sum(unit in one for one in said) >= 2)
    assert learnt.unit_U.tolist() == expected
    only_these = cut_into_segments(utterances, np.concatenate(wholes).tolist(), frame_phones(utterances))
    np.testing.assert_allclose(PhoneVectors.learn(only_these, wholes).mean_U3D, learnt.mean_U3D)
