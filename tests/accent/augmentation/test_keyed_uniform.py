"""The numbers: uniform, unrelated, the same wherever they are made; an independent 32-bit implementation agrees."""

import numpy as np
import pytest
import scipy.stats
import torch

from accent.augmentation.keyed_uniform import factors, mix, row_keys, uniform

CPU = torch.device("cpu")


def lowbias32(word: np.ndarray) -> np.ndarray:
    """Return the published mixing function on unsigned words that wrap around by themselves."""
    word = word.astype(np.uint32)
    word ^= word >> np.uint32(16)
    word *= np.uint32(0x21F0AAAD)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0xD35A2D97)
    return word ^ (word >> np.uint32(15))


def test_mixing_is_the_published_function_on_integers_and_tensors():
    words = np.random.default_rng(0).integers(0, 2**32, 10_000, dtype=np.uint64)
    expected = lowbias32(words).tolist()
    assert mix(torch.tensor(words.astype(np.int64))).tolist() == expected
    assert [mix(int(word)) for word in words[:100]] == expected[:100]


def test_numbers_are_uniform_and_do_not_depend_on_each_other():
    drawn = torch.stack([uniform(row_keys(1, step, 0, 64, CPU), "x", 8) for step in range(40)]).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert scipy.stats.kstest(drawn.ravel(), "uniform").pvalue > 0.001
    for axis in range(3):
        first, second = drawn.take(range(drawn.shape[axis] - 1), axis), drawn.take(range(1, drawn.shape[axis]), axis)
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
    assert len(np.unique(drawn)) > 0.998 * drawn.size


@pytest.mark.parametrize("change", [{"seed": 8}, {"step": 4}, {"seed": 7 + 2**32}, {"step": 3 + 2**32}])
def test_another_key_gives_other_numbers(change):
    key = {"seed": 7, "step": 3}
    one, other = (uniform(row_keys(**made, first_row=0, rows=16, device=CPU), "x", 4) for made in (key, key | change))
    assert not (one == other).any()
    assert not (one == uniform(row_keys(**key, first_row=0, rows=16, device=CPU), "y", 4)).any()


def test_a_row_has_its_numbers_wherever_a_part_of_the_batch_begins():
    whole = row_keys(5, 9, 0, 12, CPU)
    assert torch.equal(row_keys(5, 9, 7, 5, CPU), whole[7:])
    assert torch.equal(uniform(whole, "x", 6)[:, :2], uniform(whole, "x", 2))


def test_factors_are_even_in_logarithm_and_one_where_not_chosen():
    keys_B = row_keys(0, 0, 0, 4000, CPU)
    chosen_B = torch.arange(4000) % 2 == 0
    factor_B = factors(keys_B, "x", 0.25, chosen_B)
    assert (factor_B[~chosen_B] == 1).all()
    exponent = factor_B[chosen_B].log() / np.log(1.25)
    assert scipy.stats.kstest(exponent.numpy(), "uniform", (-1, 2)).pvalue > 0.001


@pytest.mark.gpu
def test_a_gpu_makes_the_same_numbers():
    ours, theirs = (uniform(row_keys(3, 4, 100, 50, torch.device(name)), "x", 20).cpu() for name in ("cpu", "cuda"))
    assert torch.equal(ours, theirs)
