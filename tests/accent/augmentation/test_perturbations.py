"""Each perturbation does what its name says, against answers known otherwise.

Shapes: B batch rows, T frames, D columns, M mel bands.
"""

import numpy as np
import pytest
import soxr
import torch

from accent.audio.prepare import AudioConfig, prepare_speech
from accent.augmentation.columns import LEVELS
from accent.augmentation.equaliser import COSINES, curves, equalise
from accent.augmentation.gain import change_gain
from accent.augmentation.keyed_uniform import row_keys
from accent.augmentation.noise import add_noise
from accent.augmentation.spec_augment import LARGEST_SHARE, mask_frequency, mask_time
from accent.augmentation.speed import change_tempo, raise_frequencies
from accent.augmentation.vocal_tract import change_vocal_tract, warped
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.features.schema import N_COLUMNS, column_index
from tests.accent.augmentation.batches import CHROMA, F0, FORMANTS, MEL, MFCC, batch, same

ROWS = 8
KEYS_B = row_keys(0, 0, 0, ROWS, torch.device("cpu"))
EVERY_B = torch.ones(ROWS, dtype=torch.bool)


@pytest.fixture
def frames():
    return batch(dtype=torch.float32)


@pytest.mark.parametrize(("factor", "long"), [(1.25, 81), (0.8, 120), (1.0, 101), (2.0, 51)])
def test_tempo_moves_every_value_and_label_to_its_new_time(factor, long):
    time_T = torch.arange(120.0)
    frames_BTD = (time_T[None, :, None] * torch.arange(1.0, N_COLUMNS + 1)).clone()
    valid_BT = (time_T < 101)[None]
    frames_BTD[~valid_BT] = 0
    phones_BT = torch.where(valid_BT, time_T.div(10, rounding_mode="floor")[None], -1).short()
    changed_BTD, now_BT, now_phones_BT = change_tempo(frames_BTD, valid_BT, phones_BT, torch.tensor([factor]))
    assert now_BT.sum() == long
    assert now_BT[0, :long].all()
    place_T = factor * time_T[:long]
    torch.testing.assert_close(changed_BTD[0, :long, 0], place_T)
    torch.testing.assert_close(changed_BTD[0, :long, 9], 10 * place_T)
    assert torch.equal(now_phones_BT[0, :long], ((place_T + 0.5).floor() / 10).floor().short())
    assert (changed_BTD[0, long:] == 0).all()
    assert (now_phones_BT[0, long:] == -1).all()


def test_tempo_keeps_the_share_of_voiced_frames_and_invents_none():
    frames_BTD = torch.ones(1, 400, N_COLUMNS)
    frames_BTD[:, 100:200, F0] = torch.nan
    valid_BT, phones_BT = torch.ones(1, 400, dtype=torch.bool), torch.zeros(1, 400, dtype=torch.int16)
    for factor in (0.9, 1.1, 1.37):
        changed_BTD, now_BT, _ = change_tempo(frames_BTD, valid_BT, phones_BT, torch.tensor([factor]))
        unvoiced_T = changed_BTD[0, :, F0].isnan()
        assert abs(int(unvoiced_T.sum()) - 100 / factor) <= 1
        assert not changed_BTD[..., MEL].isnan().any()
        assert not (unvoiced_T & ~now_BT[0]).any()


def test_a_factor_of_one_changes_no_bit(frames):
    frames_BTD, valid_BT, phones_BT = frames
    one_B = torch.ones(ROWS)
    for made in (
        change_tempo(frames_BTD, valid_BT, phones_BT, one_B)[0],
        raise_frequencies(frames_BTD, one_B),
        change_vocal_tract(frames_BTD, one_B),
    ):
        assert same(made, frames_BTD)


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.1, 1.4])
def test_the_warp_is_straight_below_rises_everywhere_and_keeps_the_ends(factor):
    hz = torch.linspace(0, 8000, 4001, dtype=torch.float64)
    to_hz = warped(hz, torch.tensor(factor, dtype=torch.float64))
    assert (to_hz.diff() > 0).all()
    assert to_hz.diff().max() < 2 * 5
    assert (to_hz[0], to_hz[-1]) == (0, 8000)
    torch.testing.assert_close(to_hz[hz < 3000], factor * hz[hz < 3000])
    torch.testing.assert_close(warped(to_hz, torch.tensor(1 / factor, dtype=torch.float64)), hz)


def vowel(f0: float, formants: tuple[float, ...], seconds: float = 1.0, rate: int = 32_000) -> np.ndarray:
    """Return a steady vowel: harmonics under resonances 80 Hz wide."""
    time_N = np.arange(round(seconds * rate)) / rate
    sound_N = np.zeros(len(time_N))
    for harmonic in range(1, int(rate / 2 / f0)):
        hz = harmonic * f0
        strength = sum(1 / (1 + ((hz - centre) / 80) ** 2) for centre in formants) / harmonic**0.5
        sound_N += strength * np.cos(2 * np.pi * hz * time_N + harmonic**2)
    return 0.1 * sound_N / np.abs(sound_N).max()


def features_of(sound_N: np.ndarray, rate: int = 32_000) -> torch.Tensor:
    speech = prepare_speech(sound_N, rate, AudioConfig(trim_db=None))
    return torch.tensor(extract(speech, FeatureConfig()).frames_TD[None])


def median(frames_BTD: torch.Tensor, column: str) -> float:
    return float(frames_BTD[..., column_index(column)].nanmedian())


def test_speed_is_what_playing_the_sound_faster_gives():
    factor = 1.15
    sound_N = vowel(120.0, (600.0, 1200.0, 2500.0, 3500.0))
    plain, played = features_of(sound_N), features_of(soxr.resample(sound_N, factor, 1.0))
    ours = raise_frequencies(plain, torch.tensor([factor]))
    for column in ("f0_hz", "f1_hz", "f2_hz", "f3_hz", "centroid_hz"):
        assert median(ours, column) == pytest.approx(median(played, column), rel=0.05), column
        assert median(plain, column) != pytest.approx(median(played, column), rel=0.08), column
    middle = slice(20, 70)
    for columns, largest in ((MEL, 0.5), (MFCC, 0.5), (CHROMA, 0.6)):
        wanted, before, after = (made[0, middle, columns].nanmean(dim=0) for made in (played, plain, ours))
        assert (after - wanted).norm() < largest * (before - wanted).norm(), columns
    valid_BT = torch.ones(plain.shape[:2], dtype=torch.bool)
    now_BT = change_tempo(plain, valid_BT, valid_BT.short(), torch.tensor([factor]))[1]
    assert abs(int(now_BT.sum()) - played.shape[1]) <= 1


def test_another_vocal_tract_moves_the_resonances_and_not_the_pitch():
    factor, formants = 1.15, (600.0, 1200.0, 2500.0, 3500.0)
    plain = features_of(vowel(120.0, formants))
    longer = features_of(vowel(120.0, tuple(factor * one for one in formants)))
    ours = change_vocal_tract(plain, torch.tensor([factor]))
    for column in ("f1_hz", "f2_hz", "f3_hz"):
        assert median(ours, column) == pytest.approx(median(longer, column), rel=0.05), column
    assert same(ours[..., F0], plain[..., F0])
    wanted, before, after = (made[0, 20:70, MEL].mean(dim=0) for made in (longer, plain, ours))
    assert (after - wanted).norm() < 0.7 * (before - wanted).norm()


def test_the_equaliser_adds_one_smooth_curve_to_all_frames(frames):
    frames_BTD, valid_BT, _ = frames
    curve_BM = curves(KEYS_B, 6.0)
    assert curve_BM.abs().max() <= 6
    torch.testing.assert_close(curve_BM.mean(dim=1), torch.zeros(ROWS), atol=1e-5, rtol=0)
    made_BTD = equalise(frames_BTD, KEYS_B, 6.0, EVERY_B)
    sounding_BT = valid_BT & (frames_BTD[..., MEL] > -90).all(dim=2)
    sounding_BT[-1] = False
    shift = (made_BTD - frames_BTD)[sounding_BT]
    torch.testing.assert_close(
        shift[:, MEL], curve_BM[:, None].expand(-1, frames_BTD.shape[1], -1)[sounding_BT], atol=1e-3, rtol=0
    )
    cepstral = shift[:, MFCC]
    assert cepstral[:, [0, *range(COSINES + 1, 20)]].abs().max() < 0.01
    assert cepstral[:, 1 : COSINES + 1].abs().max() > 1


def test_gain_shifts_every_level_alike_and_silence_not_at_all(frames):
    frames_BTD, valid_BT, _ = frames
    made_BTD = change_gain(frames_BTD, KEYS_B, 6.0, EVERY_B)
    for row in range(ROWS - 1):
        real = valid_BT[row] & (frames_BTD[row][:, MEL] > -90).all(dim=1)
        shift = (made_BTD - frames_BTD)[row][real]
        by = shift[0, LEVELS[0]]
        assert 0 < by.abs() <= 6
        torch.testing.assert_close(shift[:, MEL], by.expand(len(shift), 80), atol=2e-3, rtol=0)
        torch.testing.assert_close(shift[:, LEVELS], by.expand(len(shift), 2), atol=1e-4, rtol=0)
        torch.testing.assert_close(shift[:, MFCC.start], by.expand(len(shift)) * 80**0.5, atol=2e-2, rtol=0)
    assert (made_BTD[:, 20:25, MEL][valid_BT[:, 20:25]][:-1] == -100).all()


@pytest.mark.parametrize("snr_db", [0.0, 15.0])
def test_noise_has_the_power_that_the_ratio_says(frames, snr_db):
    frames_BTD, valid_BT, _ = frames
    made_BTD = add_noise(frames_BTD, valid_BT, KEYS_B, snr_db, snr_db, EVERY_B)
    for columns in (MEL, [LEVELS[0]], [LEVELS[1]]):
        for row in range(ROWS - 1):
            before, after = (
                10 ** (made[row][valid_BT[row]][:, columns].double() / 10) for made in (frames_BTD, made_BTD)
            )
            added = after - before
            # Bands are rounded to 2^-10 dB, in which faint noise beside loud speech is lost.
            assert added.min() >= 0
            assert 10 * (before.mean() / added.mean()).log10() == pytest.approx(snr_db, abs=0.1)
            # The same noise in every frame, as near as what remains of it beside loud speech tells.
            faint = before.sum(dim=1).argsort()[:2]
            torch.testing.assert_close(added[faint[0]], added[faint[1]], rtol=0.05, atol=0)
    ratio = 10 ** ((made_BTD[:-1, 22, MEL.start] - made_BTD[:-1, 22, MEL.stop - 1]) / 10)
    assert ratio.min() > 0.99
    assert ratio.max() < 10**1.2 * 1.01


def test_time_masks_hide_whole_frames_no_longer_than_allowed():
    frames_BTD, valid_BT, _ = batch(rows=300, dtype=torch.float32)
    frames_BTD = frames_BTD.nan_to_num(nan=1.0)
    keys_B, every_B = row_keys(0, 0, 0, 300, torch.device("cpu")), torch.ones(300, dtype=torch.bool)
    hidden_BTD = mask_time(frames_BTD, valid_BT, keys_B, 1, 15, every_B).isnan()
    hidden_BT = hidden_BTD.all(dim=2)
    assert torch.equal(hidden_BTD, hidden_BT[..., None].expand_as(hidden_BTD))
    assert not (hidden_BT & ~valid_BT).any()
    edges_B = hidden_BT.int().diff(dim=1, prepend=torch.zeros(300, 1).int()).clamp(min=0).sum(dim=1)
    assert edges_B.max() == 1
    long_B = hidden_BT.sum(dim=1)
    assert (long_B <= LARGEST_SHARE * valid_BT.sum(dim=1)).all()
    assert set(long_B.tolist()) == set(range(16))
    # The first and the last frame of a row are hidden now and then, too.
    assert hidden_BT[:, 0].any()
    last_B1 = valid_BT.sum(dim=1, keepdim=True) - 1
    assert hidden_BT.gather(1, last_B1).any()


def test_frequency_masks_leave_the_mean_in_a_range_of_bands(frames):
    frames_BTD, valid_BT, _ = frames
    made_BTD = mask_frequency(frames_BTD, valid_BT, KEYS_B, 1, 12, EVERY_B)
    widths = []
    for row in range(ROWS - 1):
        before, after = frames_BTD[row][valid_BT[row]][:, MEL], made_BTD[row][valid_BT[row]][:, MEL]
        hidden_M = (after == after[:1]).all(dim=0)
        where = hidden_M.nonzero().flatten()
        assert len(where) == 0 or int(where[-1] - where[0]) + 1 == len(where)
        widths.append(len(where))
        torch.testing.assert_close(after[0, hidden_M], before.mean(dim=0)[hidden_M], atol=0.01, rtol=0)
        torch.testing.assert_close(after[:, ~hidden_M], before[:, ~hidden_M], atol=1e-3, rtol=0)
    assert 0 < max(widths) <= 12
    assert torch.equal(made_BTD[..., FORMANTS].isnan(), frames_BTD[..., FORMANTS].isnan())
