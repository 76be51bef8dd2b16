import numpy as np
import pytest
import torch

from shards.batch import Batch, Sample, collate

N_COLUMNS = 5


def sample(number: int, n_frames: int, phones: bool = True) -> Sample:
    frames_TD = np.random.default_rng(number).standard_normal((n_frames, N_COLUMNS)).astype(np.float16)
    frames_TD[::3, 1] = np.nan
    phones_T = np.arange(n_frames, dtype=np.int16) if phones else None
    return Sample(number, number % 3, number % 7, number % 11, frames_TD, phones_T)


def test_padding_is_zero_and_marked_invalid() -> None:
    batch = collate([sample(1, 4), sample(2, 9)], N_COLUMNS, 12)
    assert batch.valid_BT.sum(1).tolist() == [4, 9]
    assert torch.equal(batch.valid_BT[0], torch.arange(12) < 4)
    assert (batch.frames_BTD[~batch.valid_BT] == 0).all()
    assert (batch.phones_BT[~batch.valid_BT] == -1).all()


def test_values_and_undefined_values_are_kept_exactly() -> None:
    samples = [sample(1, 4), sample(2, 9)]
    batch = collate(samples, N_COLUMNS)
    for row, one in enumerate(samples):
        got = batch.frames_BTD[row, : len(one.frames_TD)].numpy()
        np.testing.assert_array_equal(got, one.frames_TD.astype(np.float32))
        assert np.isnan(got).any()
        np.testing.assert_array_equal(batch.phones_BT[row, : len(one.frames_TD)].numpy(), one.phones_T)


def test_without_alignment_every_phone_is_unknown() -> None:
    batch = collate([sample(1, 4), sample(2, 6, phones=False)], N_COLUMNS)
    assert (batch.phones_BT[1] == -1).all()
    assert (batch.phones_BT[0, :4] >= 0).all()


def test_labels_belong_to_their_row() -> None:
    batch = collate([sample(number, 3) for number in (20, 4, 9)], N_COLUMNS)
    assert batch.sample_B.tolist() == [20, 4, 9]
    assert batch.accent_B.tolist() == [2, 1, 0]
    assert batch.speaker_B.tolist() == [6, 4, 2]
    assert batch.prompt_B.tolist() == [9, 4, 9]


def test_an_invalid_row_weighs_nothing_and_divides_nothing_by_zero() -> None:
    batch = collate([sample(5, 6), None], N_COLUMNS)
    assert batch.row_valid_B.tolist() == [True, False]
    assert batch.sample_B.tolist() == [5, -1]
    assert batch.valid_BT[1].tolist() == [True] + [False] * 5
    assert (batch.frames_BTD[1] == 0).all()
    assert min(batch.accent_B[1], batch.speaker_B[1], batch.prompt_B[1]) == 0


def test_a_batch_of_invalid_rows_only_has_one_frame() -> None:
    batch = collate([None, None], N_COLUMNS)
    assert batch.frames_BTD.shape == (2, 1, N_COLUMNS)
    assert batch.valid_BT.all()
    assert not batch.row_valid_B.any()


def test_the_types_are_those_promised() -> None:
    batch = collate([sample(1, 4)], N_COLUMNS)
    types = [tensor.dtype for tensor in batch]
    assert types == [torch.float32, torch.bool, torch.int16, torch.int64, torch.int64, torch.int64, torch.int64]
    assert all(tensor.is_contiguous() for tensor in batch)


def test_moving_a_batch_moves_every_tensor() -> None:
    moved = collate([sample(1, 4)], N_COLUMNS).to("meta")
    assert isinstance(moved, Batch)
    assert {tensor.device.type for tensor in moved} == {"meta"}


def test_a_sample_too_long_for_its_batch_and_a_batch_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="9 frames does not fit into a batch of 8"):
        collate([sample(1, 9)], N_COLUMNS, 8)
    with pytest.raises(ValueError, match="at least one row"):
        collate([], N_COLUMNS)
