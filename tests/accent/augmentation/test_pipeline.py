"""What holds for every perturbation: keyed by row, exact over ranks, gaps and padding kept, nothing when off."""

import dataclasses

import numpy as np
import pytest
import torch

from accent.audio.prepare import AudioConfig, prepare_speech
from accent.augmentation import AugmentationConfig, augment
from accent.configuration import load
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from tests.accent.augmentation.batches import MEL, MFCC, batch, mfcc, same

EACH = {
    "tempo": {"tempo": 0.2},
    "speed": {"speed": 0.2},
    "vocal tract": {"vocal_tract": 0.2},
    "equaliser": {"equaliser_db": 8.0},
    "gain": {"gain_db": 6.0},
    "noise": {"noise_snr_db": 5.0},
    "time masks": {"time_masks": 2},
    "frequency masks": {"frequency_masks": 2},
}
ALL = {key: value for settings in EACH.values() for key, value in settings.items()}
CASES = pytest.mark.parametrize("settings", [*EACH.values(), ALL, ALL | {"probability": 0.5}], ids=str)


@CASES
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_two_halves_are_the_whole_to_the_bit(settings, dtype):
    config, given = AugmentationConfig(**settings), batch(dtype=dtype)
    whole = augment(config, *given, step=3, first_row=16, seed=1)
    halves = [
        augment(config, *(part[first : first + 4] for part in given), step=3, first_row=16 + first, seed=1)
        for first in (0, 4)
    ]
    for position, made in enumerate(whole):
        joined = torch.cat([half[position] for half in halves])
        assert same(made.float(), joined.float()), position
    assert whole.frames_BTD.dtype == dtype
    assert whole.phones_BT.dtype == torch.int16


@CASES
def test_something_changes_and_another_step_or_seed_changes_it_otherwise(settings):
    config, given = AugmentationConfig(**settings), batch()
    made = [augment(config, *given, step=step, first_row=0, seed=seed) for step, seed in ((0, 0), (1, 0), (0, 1))]
    assert same(made[0].frames_BTD, augment(config, *given, step=0, first_row=0, seed=0).frames_BTD)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not same(made[one].frames_BTD, made[other].frames_BTD)
    assert not same(made[0].frames_BTD, given[0])


@CASES
def test_gaps_padding_and_shapes_are_kept(settings):
    frames_BTD, valid_BT, phones_BT = batch()
    before = frames_BTD.clone()
    made = augment(AugmentationConfig(**settings), frames_BTD, valid_BT, phones_BT, step=0, first_row=0, seed=0)
    assert same(frames_BTD, before), "the batch given is changed"
    assert made.frames_BTD.shape == frames_BTD.shape
    assert (made.frames_BTD[~made.valid_BT] == 0).all()
    assert (made.phones_BT[~made.valid_BT] == -1).all()
    assert made.valid_BT.any(dim=1).all()
    assert not made.frames_BTD.isinf().any()
    resampled = {"tempo", "speed"} & settings.keys()
    if not resampled:
        assert torch.equal(made.valid_BT, valid_BT)
        assert torch.equal(made.phones_BT, phones_BT)
        gained_BTD = made.frames_BTD.isnan() & ~frames_BTD.isnan()
        assert not (frames_BTD.isnan() & ~made.frames_BTD.isnan()).any()
        # Only whole frames are taken away, by time masks.
        hidden_BT = gained_BTD.any(dim=2)
        assert hidden_BT.any() == ("time_masks" in settings)
        assert made.frames_BTD[hidden_BT].isnan().all()


@CASES
def test_mfcc_still_follow_from_the_mel_bands(settings):
    made = augment(AugmentationConfig(**settings), *batch(dtype=torch.float32), step=0, first_row=0, seed=0)
    frames_BTD = made.frames_BTD[:-1][made.valid_BT[:-1]].double().numpy()
    defined = np.isfinite(frames_BTD[..., MEL]).all(axis=-1)
    expected = mfcc(frames_BTD[defined][..., MEL])
    np.testing.assert_allclose(frames_BTD[defined][..., MFCC], expected, atol=1e-3)


@pytest.mark.parametrize("settings", [{}, ALL | {"probability": 0.0}])
def test_off_gives_back_the_very_tensors(settings):
    given = batch()
    made = augment(AugmentationConfig(**settings), *given, step=0, first_row=0, seed=0)
    assert all(one is other for one, other in zip(made, given, strict=True))


def test_about_as_many_rows_as_the_probability_says_are_changed_and_the_others_not_at_all():
    frames_BTD, valid_BT, phones_BT = batch(rows=2)
    many = [part[:1].expand(400, *part.shape[1:]) for part in (frames_BTD, valid_BT, phones_BT)]
    for settings in EACH.values():
        config = AugmentationConfig(**settings, probability=0.3)
        made = augment(config, *many, step=0, first_row=0, seed=0).frames_BTD
        changed = sum(not same(row, frames_BTD[0]) for row in made)
        assert 80 <= changed <= 160, settings


def test_stored_mfcc_are_the_cosine_transform_of_the_stored_mel_bands():
    noise_N = np.random.default_rng(0).normal(size=16_000) * np.linspace(0.01, 0.3, 16_000)
    frames_TD = extract(prepare_speech(noise_N, 16_000, AudioConfig()), FeatureConfig()).frames_TD
    np.testing.assert_allclose(frames_TD[:, MFCC], mfcc(frames_TD[:, MEL].astype(np.float64)), atol=1e-3)
    stored_TD = frames_TD.astype(np.float16).astype(np.float64)
    # A band of 64 to 128 dB is rounded to 1/16 dB, the first coefficient to up to half a dB.
    error_TK = np.abs(stored_TD[:, MFCC] - mfcc(stored_TD[:, MEL]))
    assert error_TK[:, 0].max() < 0.5
    assert error_TK[:, 1:].max() < 0.2


@pytest.mark.parametrize(
    "word", ["tempo=0.6", "probability=1.1", "gain_db=-1", "noise_snr_db=50", "time_masks=11", "frequency_mask_bands=0"]
)
def test_impossible_settings_are_refused_by_their_key(word):
    with pytest.raises(AccentError, match=word.split("=")[0]):
        load(AugmentationConfig, None, [word])


def test_every_field_says_what_it_does_and_is_off():
    assert dataclasses.asdict(load(AugmentationConfig, {"tempo": 0.1}))["tempo"] == 0.1
    assert load(AugmentationConfig) == AugmentationConfig()


@pytest.mark.gpu
@CASES
def test_a_gpu_does_the_same(settings):
    given = batch(dtype=torch.float32)
    config = AugmentationConfig(**settings)
    ours = augment(config, *given, step=0, first_row=0, seed=0)
    theirs = augment(config, *(part.cuda() for part in given), step=0, first_row=0, seed=0)
    assert torch.equal(ours.valid_BT, theirs.valid_BT.cpu())
    torch.testing.assert_close(ours.frames_BTD, theirs.frames_BTD.cpu(), rtol=1e-4, atol=5e-3, equal_nan=True)
    half = [augment(config, *(part[:4].cuda() for part in given), step=0, first_row=0, seed=0)]
    assert same(half[0].frames_BTD, theirs.frames_BTD[:4])
