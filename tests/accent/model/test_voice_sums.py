"""A voice's sums add up to what is measured of the whole."""

import numpy as np
import pytest
import torch

from accent.features.schema import N_COLUMNS, column_index
from accent.model.normalisation import measure_voices
from accent.model.voice_sums import VoiceSums

F0 = column_index("f0_hz")


def speech(frames, seed):
    """Frames as shards hold them: some undefined, one column never defined."""
    random = np.random.default_rng(seed)
    frames_TD = random.normal(50, 20, (frames, N_COLUMNS))
    frames_TD[:, F0] = random.uniform(80, 300, frames)
    frames_TD[random.random(frames_TD.shape) < 0.3] = np.nan
    frames_TD[:, 100] = np.nan
    return frames_TD.astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("lengths", [[400], [1, 2, 300], [30, 31, 32, 33], [0, 150, 0]])
def test_sums_of_parts_are_the_voice_of_the_whole(lengths):
    parts = [speech(length, seed) for seed, length in enumerate(lengths)]
    total = VoiceSums.nothing()
    for part_TD in parts:
        total = total.joined(VoiceSums.of(part_TD))
    whole_BTD = torch.from_numpy(np.concatenate(parts))[None]
    expected = measure_voices(whole_BTD, torch.ones(whole_BTD.shape[:2], dtype=torch.bool))
    for given, wanted in zip(total.statistics(), expected, strict=True):
        torch.testing.assert_close(given, wanted, atol=1e-3, rtol=1e-5)


def test_no_speech_is_no_voice():
    count, centre, spread = VoiceSums.nothing().statistics()
    assert not count.any() and centre.isfinite().all() and spread.isfinite().all()
