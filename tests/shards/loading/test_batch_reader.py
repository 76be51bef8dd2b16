import numpy as np
import pytest
import torch

from accent.features.schema import N_COLUMNS
from shards.loading.batch import Batch
from shards.loading.batch_reader import BatchBuffer


def filled(buffer: BatchBuffer, rows: int, long: int, value: float) -> Batch:
    view = buffer.view(rows, long)
    view.frames_BTD[:] = value
    view.valid_BT[:] = True
    view.phones_BT[:] = int(value)
    view.labels_4B[:] = np.arange(4)[:, None] + int(value)
    return view.batch


def test_what_is_written_to_a_buffer_is_the_batch() -> None:
    buffer = BatchBuffer(3, 12)
    view = buffer.view(3, 4)
    view.frames_BTD[:] = np.arange(3 * 4 * N_COLUMNS).reshape(3, 4, N_COLUMNS) % 1000
    view.frames_BTD[1, 2, 7] = np.nan
    view.labels_4B[:] = np.arange(12).reshape(4, 3)
    batch = view.batch
    np.testing.assert_array_equal(batch.frames_BTD.numpy(), view.frames_BTD)
    assert batch.frames_BTD[1, 2, 7].isnan()
    assert batch.accent_B.tolist() == [0, 1, 2]
    assert batch.speaker_B.tolist() == [3, 4, 5]
    assert batch.prompt_B.tolist() == [6, 7, 8]
    assert batch.sample_B.tolist() == [9, 10, 11]


def test_the_bytes_of_a_view_are_its_frames_and_phones_in_order() -> None:
    view = BatchBuffer(2, 6).view(2, 3)
    stored_TD = np.random.default_rng(0).standard_normal((3, N_COLUMNS)).astype(np.float16)
    view.frame_bytes[stored_TD.nbytes :] = stored_TD.tobytes()
    view.phone_bytes[6:] = np.array([5, 6, 7], "<i2").tobytes()
    np.testing.assert_array_equal(view.batch.frames_BTD[1].numpy(), stored_TD)
    assert view.batch.phones_BT[1].tolist() == [5, 6, 7]


def test_an_invalid_row_weighs_nothing_and_divides_nothing_by_zero() -> None:
    buffer = BatchBuffer(2, 12)
    filled(buffer, 2, 6, 5)
    buffer.view(2, 6).invalidate(1)
    batch = buffer.view(2, 6).batch
    assert batch.row_valid_B.tolist() == [True, False]
    assert batch.sample_B.tolist() == [8, -1]
    assert batch.valid_BT[1].tolist() == [True] + [False] * 5
    assert (batch.frames_BTD[1] == 0).all() and (batch.frames_BTD[0] == 5).all()
    assert (batch.phones_BT[1] == -1).all() and (batch.phones_BT[0] == 5).all()
    assert [int(column[1]) for column in (batch.accent_B, batch.speaker_B, batch.prompt_B)] == [0, 0, 0]


def test_the_types_are_those_promised() -> None:
    batch = BatchBuffer(2, 8).view(2, 4).batch
    types = [tensor.dtype for tensor in batch]
    assert types == [torch.float16, torch.bool, torch.int16, torch.int64, torch.int64, torch.int64, torch.int64]
    assert all(tensor.is_contiguous() for tensor in batch)


def test_batches_of_any_shape_that_fits_use_the_same_memory() -> None:
    buffer = BatchBuffer(6, 24)
    places = set()
    for rows, long in ((6, 4), (1, 24), (2, 3), (6, 1), (6, 4)):
        batch = filled(buffer, rows, long, rows)
        assert batch.frames_BTD.shape == (rows, long, N_COLUMNS)
        assert batch.valid_BT.shape == batch.phones_BT.shape == (rows, long)
        assert (batch.frames_BTD == rows).all()
        places.add(batch.frames_BTD.data_ptr())
    assert len(places) == 1


@pytest.mark.parametrize(("rows", "long"), [(5, 5), (7, 1), (0, 4), (4, 0)])
def test_a_batch_that_does_not_fit_and_a_batch_of_nothing_are_refused(rows: int, long: int) -> None:
    with pytest.raises(ValueError, match=f"{rows} rows of {long} frames do not fit into 6 rows, 24 frames"):
        BatchBuffer(6, 24).view(rows, long)


def test_moving_a_batch_gives_a_copy_that_stays_also_on_the_same_device() -> None:
    buffer = BatchBuffer(2, 8)
    batch = filled(buffer, 2, 4, 1)
    copy = batch.to("cpu")
    filled(buffer, 2, 4, 9)
    assert isinstance(copy, Batch)
    assert (batch.frames_BTD == 9).all()
    assert (copy.frames_BTD == 1).all() and copy.accent_B.tolist() == [1, 1] and copy.sample_B.tolist() == [4, 4]
    assert {tensor.device.type for tensor in batch.to("meta")} == {"meta"}
